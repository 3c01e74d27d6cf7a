"""The page in a real browser: keys, sliders, every screen, recording, a link to a moment, a lost connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocketRoute

Opener = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser, server: Any) -> Iterator[Opener]:
    """open_page(fragment="", width=1280, prepare=None): the page, connected and dreaming. It may not complain."""
    contexts, complaints = [], []

    def open_one(
        fragment: str = "", width: int = 1280, prepare: Callable[[Page], None] | None = None
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 800}, accept_downloads=True)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
        )
        if prepare is not None:
            prepare(page)
        page.goto(f"http://127.0.0.1:{server.port}/{fragment}")
        until(page, "worldmodelsDebug.framesDrawn > 0")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def until(page: Page, condition: str, timeout: float = 20) -> Any:
    """Wait until a JavaScript expression is true. (The page's own policy forbids playwright's way of waiting.)"""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := page.evaluate(f"() => window.worldmodelsDebug && ({condition})"):
            return value
        time.sleep(0.02)
    raise TimeoutError(
        f"it never came that {condition}; {page.evaluate('() => worldmodelsDebug.lastHeader')}"
    )


def header(page: Page) -> dict[str, Any]:
    return page.evaluate("() => worldmodelsDebug.lastHeader")


def pixels(page: Page, canvas: str) -> str:
    return page.evaluate(f"() => document.querySelector('{canvas}').toDataURL()")


def colours(page: Page, canvas: str) -> int:
    return page.evaluate(
        """(selector) => {
            const canvas = document.querySelector(selector);
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return new Set(new Uint32Array(data.buffer)).size;
        }""",
        canvas,
    )


def test_the_dream_is_painted_and_keys_steer_it(open_page):
    page = open_page()
    assert colours(page, "#picture-dream canvas") > 10
    page.keyboard.down("ArrowLeft")
    until(page, "worldmodelsDebug.lastHeader.action[0] === -1 && worldmodelsDebug.lastHeader.who === 'you'")
    page.keyboard.up("ArrowLeft")
    page.keyboard.down("d")
    until(page, "worldmodelsDebug.lastHeader.action[0] === 1")
    page.keyboard.up("d")
    until(page, "worldmodelsDebug.lastHeader.action[0] === 0")
    assert len(page.evaluate("() => worldmodelsDebug.keyLatencies")) >= 2


def test_the_temperature_slider_works_at_once(open_page):
    page = open_page()
    page.locator("#temperature").focus()
    page.keyboard.press("Home")
    until(page, "worldmodelsDebug.lastHeader.temperature === 0.1")
    page.keyboard.press("End")
    until(page, "worldmodelsDebug.lastHeader.temperature === 2")
    assert "2.00" in page.locator("#temperature-value").inner_text()


def test_pause_step_rewind_restart_and_the_wheel_by_keys_and_buttons(open_page):
    page = open_page()
    until(page, "worldmodelsDebug.lastHeader.tick > 5")
    page.keyboard.press("Space")
    until(page, "worldmodelsDebug.lastHeader.paused")
    tick = until(page, "worldmodelsDebug.lastHeader.tick")
    page.locator("#step").click()
    until(page, f"worldmodelsDebug.lastHeader.tick > {tick}")
    page.keyboard.press(",")
    until(page, f"worldmodelsDebug.lastHeader.tick <= {tick}")
    assert header(page)["paused"]
    page.keyboard.press("c")
    page.locator("#pause").click()
    until(page, "worldmodelsDebug.lastHeader.who === 'controller' && !worldmodelsDebug.lastHeader.paused")
    page.locator("#controller").select_option("temperature-0.10")
    until(page, "worldmodelsDebug.lastHeader.controller === 'temperature-0.10'")
    page.locator("#drive-you").click()
    until(page, "worldmodelsDebug.lastHeader.who === 'you'")
    seed = header(page)["seed"]
    page.keyboard.press("r")
    until(page, f"worldmodelsDebug.lastHeader.seed !== {seed}")


def test_what_m_predicts_is_drawn(open_page):
    page = open_page()
    page.locator("#predicts summary").click()
    until(page, "worldmodelsDebug.lastHeader.mixture")
    time.sleep(1.5)  # drawn with one of the next pictures, which a busy machine is slow to show
    assert colours(page, "#mixture") > 1


def test_a_link_leads_back_to_the_same_moment(open_page):
    page = open_page()
    page.keyboard.down("ArrowRight")
    until(page, "worldmodelsDebug.lastHeader.tick > 8")
    page.keyboard.up("ArrowRight")
    page.keyboard.press("Space")
    until(page, "worldmodelsDebug.lastHeader.paused")
    page.keyboard.press("m")
    until(page, "location.hash.startsWith('#moment=')")
    time.sleep(0.2)
    here = header(page)
    other = open_page(page.evaluate("() => location.hash"))
    until(other, "worldmodelsDebug.lastHeader.paused && worldmodelsDebug.lastHeader.tick > 0")
    there = header(other)
    # A moment stands between two ticks: the tick under way, if there was one, is not in it.
    assert [there[name] for name in ("seed", "tick")] == [here[name] for name in ("seed", "tick")]
    assert there["score"] == pytest.approx(here["score"], abs=1e-3)


@pytest.mark.parametrize(("format", "begins"), [("mp4", b"ftyp"), ("gif", b"GIF8")])
def test_a_recording_can_be_kept(open_page, format: str, begins: bytes):
    page = open_page()
    until(page, "worldmodelsDebug.lastHeader.step > 30")
    page.locator(f"#record-{format}").click()
    until(page, "document.querySelector('#recording-link').getAttribute('href')", 60)
    with page.expect_download() as downloading:
        page.locator("#recording-link").click()
    path = downloading.value.path()
    assert begins in path.read_bytes()[:16]


def test_side_by_side_the_dream_leaves_the_game(open_page):
    page = open_page()
    page.locator("#tab-compare").click()
    branching = "worldmodelsDebug.lastHeader.divergence?.pixels > 0"
    for _ in range(20):  # an untrained paddle may lose before the dream leaves the game
        until(page, f"{branching} || worldmodelsDebug.lastHeader.actual?.ended")
        if page.evaluate(f"() => {branching}"):
            break
        page.keyboard.press("r")
        until(page, "worldmodelsDebug.lastHeader.actual?.ended === false")
    until(page, branching)
    for pane in ("actual", "vision", "dream"):
        assert colours(page, f"#pane-{pane} canvas") > 1
    branched = header(page)["branched"]
    if not header(page)["actual"]["ended"]:
        page.locator("#branch").click()
        # It may be lost before the click arrives.
        until(
            page,
            f"worldmodelsDebug.lastHeader.branched > {branched} || worldmodelsDebug.lastHeader.actual?.ended",
        )
    assert colours(page, "#divergence") > 1


def test_latents_are_moved_by_sliders(open_page):
    page = open_page()
    page.keyboard.press("3")
    page.locator("#examples button").first.click()
    decoded = "#latents-decoded"
    until(page, "worldmodelsDebug.lastHeader.kind === 'encoded'")
    time.sleep(0.2)
    before = pixels(page, decoded)
    slider = page.locator("#latent-sliders input[data-dimension]").first
    slider.focus()
    page.keyboard.press("End")
    until(page, "worldmodelsDebug.lastHeader.kind === 'decoded'")
    time.sleep(0.2)
    assert pixels(page, decoded) != before
    moved = header(page)["z"]
    page.locator("#set-a").click()
    page.locator("#random-latent").click()
    until(page, f"JSON.stringify(worldmodelsDebug.lastHeader.z) !== {str(moved).replace(' ', '')!r}")
    page.locator("#set-b").click()
    page.locator("#interpolation").focus()
    page.keyboard.press("Home")
    until(page, f"Math.abs(worldmodelsDebug.lastHeader.z[5] - {moved[5]}) < 1e-3")


def test_a_cheat_is_watched_in_both_worlds(open_page):
    page = open_page()
    page.keyboard.press("4")
    until(page, "worldmodelsDebug.lastHeader.screen === 'cheating' && worldmodelsDebug.lastHeader.tick > 3")
    assert header(page)["controller"] == "temperature-0.10"
    assert header(page)["temperature"] == 0.1
    page.locator("#cheating-controller").select_option("round-00")
    page.locator("#cheating-restart").click()
    until(page, "worldmodelsDebug.lastHeader.controller === 'round-00'")


def open_through_a_wire(open_page: Opener) -> tuple[Page, list[WebSocketRoute]]:
    """A page that dreams, and its connections, which can be cut."""
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        sockets.append(socket)

    page = open_page(prepare=lambda page: page.route_web_socket("**/ws*", through))
    until(page, "worldmodelsDebug.lastHeader.tick > 5")
    return page, sockets


def test_a_lost_connection_is_taken_up_again(open_page):
    page, sockets = open_through_a_wire(open_page)
    seed, tick = header(page)["seed"], header(page)["tick"]
    sockets[0].close(code=1012)
    until(page, "document.querySelector('#status').dataset.state !== 'open'")
    until(page, "document.querySelector('#status').dataset.state === 'open'")
    until(page, f"worldmodelsDebug.lastHeader.tick > {tick}")
    assert header(page)["seed"] == seed
    assert len(sockets) == 2
    assert "session=" in sockets[1].url


HIDE = """() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    window.waiting = [];
    window.repaint = window.requestAnimationFrame;
    window.requestAnimationFrame = (draw) => waiting.push(draw); // nothing is painted that nobody sees
    document.dispatchEvent(new Event("visibilitychange"));
}"""
SHOW = """() => {
    Object.defineProperty(document, "hidden", { value: false, configurable: true });
    window.requestAnimationFrame = window.repaint;
    for (const draw of waiting) requestAnimationFrame(draw);
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_page_whose_connection_was_lost_goes_on_when_it_is_seen_again(open_page):
    page, sockets = open_through_a_wire(open_page)
    page.evaluate(HIDE)
    time.sleep(0.5)
    seed, tick = header(page)["seed"], header(page)["tick"]
    sockets[0].close(code=1012)
    until(page, "document.querySelector('#status').dataset.state !== 'open'")
    until(page, "document.querySelector('#status').dataset.state === 'open'")
    time.sleep(2)
    drawn = page.evaluate("() => worldmodelsDebug.framesDrawn")
    page.evaluate(SHOW)
    until(page, f"worldmodelsDebug.framesDrawn > {drawn}")
    assert header(page)["tick"] <= tick + 10, "nobody dreams unseen"
    until(page, f"worldmodelsDebug.lastHeader.tick > {tick} + 20")
    assert header(page)["seed"] == seed
    assert page.locator("#toast").text_content() == "", "nothing is refused"


def test_it_fits_a_phone(open_page):
    page = open_page(width=360)
    for tab in ("dream", "compare", "latents", "cheating"):
        page.locator(f"#tab-{tab}").click()
        time.sleep(0.2)
        wide = page.evaluate("() => document.documentElement.scrollWidth")
        assert wide <= 360, f"{tab} is {wide} pixels wide"


def test_everything_has_a_name_for_those_who_do_not_see_it(open_page):
    page = open_page()
    for tab in ("dream", "compare", "latents", "cheating"):
        page.locator(f"#tab-{tab}").click()
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, input, select, canvas, a, [role]")]
                .filter((e) => e.offsetParent !== null && !e.closest("[aria-hidden=true]"))
                .filter((e) => e.tagName !== "CANVAS" || !e.closest("[role=application], [role=img], button"))
                .filter((e) => !(e.ariaLabel || e.getAttribute("aria-labelledby") || e.textContent.trim()
                                 || (e.labels && e.labels.length) || e.title))
                .map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []
