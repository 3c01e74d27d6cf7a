"""Take Cover to play in: a point a tick, death, steps aside, and words that speak of no car."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import game, games
from worldmodels.envs.pool import open_pool
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.play.dream import Dream
from worldmodels.play.hello import hello
from worldmodels.play.messages import read_message
from worldmodels.play.model import Driver, PlayModel
from worldmodels.play.moment import moment_code, read_moment
from worldmodels.play.painter import Painter
from worldmodels.play.session import Session
from worldmodels.play.wheel import Wheel
from worldmodels.play.words import words
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.vision.vae import VAE, VAEConfig
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import gather_starts

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LATENT, HIDDEN = 6, 12
DRIVING = re.compile(r"\b(cars?|tracks?|roads?|driv\w+|wheel|gas|brake|steer\w*)\b", re.IGNORECASE)


def memory(deadly: bool) -> MDNRNN:
    """An untrained M of Take Cover's kind, whose dreams never end, or at once."""
    torch.manual_seed(0)
    config = MDNRNNConfig(LATENT, 1, HIDDEN, 3, predicts_end=True, restart_flag=True)
    model = MDNRNN(config).requires_grad_(False).eval()
    model.head.weight[-1], model.head.bias[-1] = 0, 9 if deadly else -9
    return model


def driver(temperature: float, seed: int) -> Driver:
    config = ControllerConfig("zch", LATENT + 2 * HIDDEN, ("symmetric",), bias=False)
    parameters = torch.randn(config.parameter_count, generator=torch.Generator().manual_seed(seed))
    score = {"mean": 918.0, "standard_error": 34.0, "episodes": 256}
    name = f"temperature-{temperature:.2f}" if seed else "round-00"
    return Driver(name, f"C evolved at τ {temperature:.2f}", temperature, config, parameters, score, score)


@pytest.fixture(scope="module")
def doom() -> Callable[..., PlayModel]:
    """doom(deadly=False)"""
    torch.manual_seed(0)
    vision = VAE(VAEConfig(latent_size=LATENT)).requires_grad_(False).eval()
    rng = np.random.default_rng(0)

    def episode() -> LatentEpisode:
        mu, logvar = rng.normal(size=(2, 9, LATENT)).astype(np.float32)
        actions = rng.uniform(-1, 1, (8, 1)).astype(np.float32)
        return LatentEpisode(mu, logvar, actions, np.ones(8, np.float32), True)

    episodes = [episode() for _ in range(5)]
    spec = game("take-cover")

    def make(deadly: bool = False) -> PlayModel:
        model = memory(deadly)
        return PlayModel(
            name="take-cover · runs/doom",
            spec=spec,
            action_repeat=1,
            vision=vision,
            memory=model,
            memory_hash="cd" * 32,
            starts=gather_starts(model, episodes, 8, np.random.default_rng(1)),
            controllers=(driver(1.15, 0), driver(0.1, 1), driver(0.5, 2)),
            temperature=1.15,
            examples=rng.integers(0, 255, (3, 64, 64, 3), np.uint8),
            latent_mean=np.zeros(LATENT, np.float32),
            latent_std=np.ones(LATENT, np.float32),
            open_game=lambda: open_pool(spec, "gymnasium", 1, workers=1),
            openings=1.0,
        )

    return make


@pytest.fixture
def open_session() -> Iterator[Callable[[PlayModel], Session]]:
    sessions = []

    def make(model: PlayModel) -> Session:
        sessions.append(Session(model, Painter(model.vision, model.device)))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def say(session: Session, type: str, **fields: Any) -> None:
    message = read_message(json.dumps({"type": type, **fields}))
    session.steer(message) if type == "input" else session.do(message)  # pyright: ignore[reportArgumentType]


def test_a_dream_begins_at_an_opening_and_is_the_one_that_c_is_scored_in(doom):
    model = doom()
    dream, world = (
        Dream(model, 7),
        DreamWorld(model.memory, model.starts, DreamConfig(1.15, openings=1), "zch"),
    )
    world.reset([7])
    assert (dream.state.memory.c == 0).all(), "the restart flag is 1 in the first tick"
    for number, action in enumerate((-100, 100, 0, 34, -20), start=1):
        step = world.step(torch.tensor([[action / 100]]))
        dream.advance((action,), 115)
        assert torch.equal(dream.state.z, world.z)
        assert float(step.reward) == 1
        assert dream.state.score == number
    code = moment_code(dream)
    again = Dream(model, 7)
    moment = read_moment(code, model)
    again.replay(moment.actions, moment.temperatures)
    assert torch.equal(again.state.z, dream.state.z)


def test_death_ends_a_dream_and_a_tic_was_survived_until_then(doom, open_session):
    session = open_session(doom(deadly=True))
    session.advance()
    header = session.draw().header
    assert (header["ended"], header["score"]) == (True, 1)
    assert header["end"] > 0.99
    assert not session.running


def test_the_actual_game_is_played_by_the_same_actions(doom, open_session):
    pytest.importorskip("vizdoom")
    session = open_session(doom())
    say(session, "screen", name="compare")
    say(session, "restart", seed=3)
    session.advance()
    say(session, "input", id=1, action=[-1.0])
    seen = []
    for _ in range(12):
        session.advance()
        seen.append(session.draw())
    assert seen[-1].header["actual"] == {"reward": 1, "score": 12, "ended": False, "died": False}
    say(session, "branch")
    session.advance()
    header = session.draw().header
    assert (header["branched"], header["dream"]["score"]) == (12, 1)
    assert not np.array_equal(seen[0].panes[0], seen[-1].panes[0]), "a step to the left moves the picture"


@pytest.mark.parametrize("temperature", ["temperature-0.10", "temperature-0.50", "round-00"])
def test_each_c_is_watched_in_both_worlds(doom, open_session, temperature):
    pytest.importorskip("vizdoom")
    session = open_session(doom())
    say(session, "screen", name="cheating")
    say(session, "restart", controller=temperature, seed=1)
    for _ in range(4):
        session.advance()
    header = session.draw().header
    assert header["controller"] == temperature
    assert (header["dream"]["score"], header["actual"]["score"]) == (3, 3)


def test_no_game_but_the_car_speaks_of_driving():
    for spec in games().values():
        said = " ".join(str(value) for value in words(spec).values())
        assert bool(DRIVING.search(said)) == (spec.name == "car-racing"), spec.name


def test_hello_tells_keys_words_and_that_nothing_is_paid_but_time(doom):
    told = hello(doom(), "", Wheel(doom()))
    assert told["actions"] == [{"name": "step", "low": -1.0, "high": 1.0}]
    assert [key["label"] for key in told["keys"]] == ["step left", "step right"]
    assert (told["pays"], told["words"]["unit"], told["steps_per_second"]) == (False, "tics", 35.0)
    assert json.loads(json.dumps(told, allow_nan=False)) == told


# In a real browser.

HEADER = "window.worldmodelsDebug?.lastHeader"
Visit = Callable[..., "Page"]


@pytest.fixture
def visit(
    browser: Browser, serve_model: Callable[[PlayModel], AbstractContextManager[Any]]
) -> Iterator[Visit]:
    """visit(model, width=1280, touch=False): the page, which may not complain."""
    complaints = []
    with ExitStack() as opened:

        def open_one(model: PlayModel, width: int = 1280, touch: bool = False) -> Page:
            running = opened.enter_context(serve_model(model))
            context = browser.new_context(viewport={"width": width, "height": 800}, has_touch=touch)
            opened.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"http://127.0.0.1:{running.port}/")
            return page

        yield open_one
    assert complaints == []


def until(page: Page, condition: str, timeout: float = 60) -> Any:
    """Wait until a JavaScript expression is true."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if value := page.evaluate(f"() => {condition}"):
            return value
        time.sleep(0.02)
    raise TimeoutError(f"it never came that {condition}; {page.evaluate(f'() => {HEADER}')}")


def text(page: Page, selector: str) -> str:
    return page.locator(selector).inner_text()


def test_the_arrows_step_aside_and_every_screen_speaks_of_this_game(doom, visit):
    page = visit(doom())
    until(page, f"{HEADER}?.score > 2")
    for key, action in (("ArrowLeft", -1), ("d", 1)):
        page.keyboard.down(key)
        until(page, f"{HEADER}.action[0] === {action}")
        page.keyboard.up(key)
        until(page, f"{HEADER}.action[0] === 0")
    assert text(page, "#score-label") == "Tics survived"
    assert text(page, "#score").isdigit()
    assert not page.locator("#reward-box").is_visible()
    assert text(page, "#driving-dream").startswith("You play")
    assert "Survived 918 ± 34 tics in its dream and 918 ± 34 tics in the actual game." in text(
        page, "#driving-dream"
    )
    page.keyboard.press("?")
    said = page.locator("body").inner_text()
    page.keyboard.press("Escape")
    for tab in ("dream", "compare", "latents", "cheating"):
        page.locator(f"#tab-{tab}").click()
        said += page.locator("main").inner_text()
    assert DRIVING.findall(said) == []
    assert "The same keys move all three" in said


def test_death_is_shown_with_the_tics_that_were_survived(doom, visit):
    page = visit(doom(deadly=True))
    until(page, f"{HEADER}?.ended")
    until(page, "!document.querySelector('#ended').hidden")
    assert text(page, "#dream-over") == "Died in the dream"
    assert text(page, "#ended-score") == "1 tics"
    assert "Died in the dream. Tics survived 1." in page.evaluate(
        "() => document.querySelector('#announcements').textContent"
    )


def test_fingers_have_two_halves(doom, visit):
    page = visit(doom(), width=390, touch=True)
    until(page, f"{HEADER}?.score > 1")
    page.locator("#picture-dream").tap()
    pads = page.locator("#pads .pad")
    assert pads.count() == 2
    pads.nth(1).dispatch_event("pointerdown", {"pointerId": 1, "pointerType": "touch"})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
