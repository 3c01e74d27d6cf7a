"""The exported page in a real browser that can reach nothing but the page's own folder."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from worldmodels.export.description import exported_starts
from worldmodels.play.dream import Dream
from worldmodels.play.moment import moment_code
from worldmodels.play.painter import Painter

HEADER = "window.worldmodelsDebug?.lastHeader"
# The 64x64 pixels of the picture, however much larger it is drawn.
PIXELS = """(() => {
  const canvas = document.querySelector('#picture-dream canvas');
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  return Array.from({ length: 64 * 64 * 3 }, (_, i) => {
    const row = Math.floor(((Math.floor(i / 192) + 0.5) * height) / 64);
    const column = Math.floor(((Math.floor(i / 3) % 64) + 0.5) * width / 64);
    return data[4 * (row * width + column) + (i % 3)];
  });
})()"""


@pytest.fixture
def playing(one_page):
    """The page at the beginning of a dream."""
    one_page.wait("window.worldmodelsDebug?.framesDrawn > 3")
    if one_page.ask(f"{HEADER}.who") == "controller":
        one_page.page.keyboard.press("c")
    before = one_page.ask(f"{HEADER}.seed")
    one_page.page.keyboard.press("r")
    one_page.wait(f"!{HEADER}.paused && {HEADER}.seed !== {before} && {HEADER}.who === 'you'")
    return one_page


def test_it_dreams_offline_and_obeys_the_keys(playing):
    tabs = "[...document.querySelectorAll('[role=tab]')].filter((tab) => tab.checkVisibility()).length"
    assert playing.ask(tabs) <= 1, "the other screens need a server"
    playing.page.keyboard.down("ArrowUp")
    playing.page.keyboard.down("ArrowLeft")
    playing.wait(f"{HEADER}.action[1] > 0.9 && {HEADER}.action[0] < -0.9")
    playing.page.keyboard.up("ArrowUp")
    playing.page.keyboard.up("ArrowLeft")
    playing.wait(f"{HEADER}.action[1] === 0 && {HEADER}.action[0] === 0")
    before = playing.ask("worldmodelsDebug.framesReceived")
    playing.wait(f"worldmodelsDebug.framesReceived > {before + 20}")
    playing.page.keyboard.press("c")
    playing.wait(f"{HEADER}.who === 'controller'")
    assert playing.complaints == []
    assert playing.elsewhere == []


def test_it_keeps_moving(playing):
    """30 pictures a second are the aim on two idle cores; here other tests may have them."""
    begun = playing.ask("[worldmodelsDebug.framesReceived, performance.now()]")
    time.sleep(2)
    ended = playing.ask("[worldmodelsDebug.framesReceived, performance.now()]")
    assert 1000 * (ended[0] - begun[0]) / (ended[1] - begun[1]) > 10


def test_its_clock_stands_steps_and_goes_back(playing):
    playing.wait(f"{HEADER}.tick >= 3")
    playing.page.keyboard.press("Space")
    playing.wait(f"{HEADER}.paused")
    tick = playing.ask(f"{HEADER}.tick")
    playing.page.keyboard.press(".")
    playing.wait(f"{HEADER}.tick === {tick + 1} && {HEADER}.step === {4 * tick + 4}")
    playing.page.keyboard.press(",")
    playing.wait(f"{HEADER}.tick <= {tick}")
    seed = playing.ask(f"{HEADER}.seed")
    playing.page.keyboard.press("r")
    playing.wait(f"{HEADER}.seed !== {seed} && !{HEADER}.paused")
    assert playing.complaints == []


def test_it_dreams_what_python_dreams(open_page, model):
    """A moment that Python has written is the same here: noise, start, V and M together."""
    here = replace(model, starts=exported_starts(model.starts))
    dream = Dream(here, 12345)
    rng = np.random.default_rng(0)
    actions = np.hstack([rng.integers(-100, 101, (5, 1)), rng.integers(0, 101, (5, 2))])
    dream.replay(actions.astype(np.int8), [100] * 3 + [30] * 2)
    opened = open_page(f"#moment={moment_code(dream)}")
    header = opened.wait(f"{HEADER}?.paused && {HEADER}.tick === 5 && {HEADER}")
    assert header["seed"] == 12345
    assert header["score"] == pytest.approx(dream.state.score, abs=0.01)
    assert header["reward"] == pytest.approx(dream.state.reward, abs=0.01)
    assert header["end"] == pytest.approx(dream.state.end, abs=1e-3)
    shown = np.array(opened.ask(PIXELS), np.uint8)
    wanted = Painter(model.vision, model.device).paint(dream.shown)[0]
    apart = np.abs(shown.reshape(64, 64, 3).astype(int) - wanted)
    assert apart.max() <= 4  # this M, which has learnt nothing, makes much of the last digits
    assert apart.mean() < 0.1
    assert opened.complaints == []


def test_a_link_brings_back_the_dream(playing, open_page):
    playing.page.keyboard.press("c")
    playing.wait(f"{HEADER}.tick >= 8")
    playing.page.keyboard.press("m")
    link = playing.wait("location.hash.startsWith('#moment=') && location.hash")
    playing.page.keyboard.press("Space")
    again = open_page(link)
    header = again.wait(f"{HEADER}?.paused && {HEADER}.tick > 0 && {HEADER}")
    other = open_page("?backend=wasm" + link).wait(f"{HEADER}?.paused && {HEADER}.tick > 0 && {HEADER}")
    assert {name: header[name] for name in ("seed", "tick", "score")} == {
        name: other[name] for name in ("seed", "tick", "score")
    }


def test_a_broken_link_says_so_and_dreams_on(open_page):
    opened = open_page("#moment=abcdef")
    opened.wait("document.body.textContent.includes('this link holds no moment of a dream')")
    opened.wait("worldmodelsDebug.framesDrawn > 3")


def test_opened_from_a_disk_it_says_what_to_type(browser, site):
    page = browser.new_page()
    page.goto((site.path / "index.html").as_uri())
    assert "python -m http.server 8000" in page.inner_text("#asleep")
    page.close()


def test_it_keeps_a_gif(playing):
    playing.wait(f"{HEADER}.step >= 30")
    playing.page.keyboard.press("v")
    playing.wait("document.querySelector('#recording-link:not([hidden])')?.href.startsWith('blob:')")
    with playing.page.expect_download() as download:
        playing.page.click("#recording-link")
    with Image.open(download.value.path()) as image:
        assert image.format == "GIF"
        assert getattr(image, "n_frames") >= 10  # noqa: B009
        image.seek(9)
        assert np.asarray(image.convert("RGB")).std() > 10
    assert playing.complaints == []
