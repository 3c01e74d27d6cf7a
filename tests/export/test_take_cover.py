"""Take Cover's page: openings, a point a tick, two keys, and the same dream as in Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from worldmodels.export.description import MOST_STARTS, describe, exported_starts
from worldmodels.pipeline.export import LARGE
from worldmodels.play.dream import Dream
from worldmodels.play.moment import moment_code

HEADER = "window.worldmodelsDebug?.lastHeader"


def test_its_dreams_begin_where_episodes_do(doom):
    chosen = exported_starts(doom.starts, doom.openings)
    assert (chosen.openings, len(chosen), doom.starts.openings) == (MOST_STARTS, MOST_STARTS, 80)
    assert (chosen.c == 0).all()
    told = describe(doom, chosen, {})
    assert told["start_counts"] == [MOST_STARTS, 0]
    assert [told["controllers"][0][name] for name in ("features", "bias")] == ["zch", False]
    assert told["hello"]["pays"] is False


def test_the_page_is_not_too_large(doom_site):
    assert doom_site.size < LARGE


def test_it_is_played_with_two_keys_and_dreams_what_python_dreams(doom_page, doom):
    here = replace(doom, starts=exported_starts(doom.starts, doom.openings))
    dream = Dream(here, 12345)
    dream.replay(np.array([[-100], [-100], [0], [100]], np.int8), [115] * 4)
    opened = doom_page(f"#moment={moment_code(dream)}")
    header = opened.wait(f"{HEADER}?.paused && {HEADER}.tick === 4 && {HEADER}")
    assert (header["seed"], header["score"], header["reward"]) == (12345, 4, 1)
    assert header["end"] == pytest.approx(dream.state.end, abs=1e-3)
    opened.page.keyboard.press("c")
    opened.page.keyboard.press(".")
    opened.wait(f"{HEADER}.tick === 5 && {HEADER}.who === 'controller'")
    chosen = doom.controllers[0].act(dream.state.z, dream.state.memory)
    assert opened.ask(f"{HEADER}.action") == pytest.approx(chosen, abs=0.0101)
    opened.page.keyboard.press("r")
    opened.wait(f"{HEADER}.tick > 3 && !{HEADER}.paused")
    opened.page.keyboard.down("ArrowRight")
    opened.wait(f"{HEADER}.action[0] === 1")
    opened.page.keyboard.up("ArrowRight")
    opened.wait(f"{HEADER}.action[0] === 0")
    assert opened.ask("document.querySelector('#score-label').textContent") == "Tics survived"
    assert opened.complaints == []
    assert opened.elsewhere == []
