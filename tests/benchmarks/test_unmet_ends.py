"""What M makes of deaths that it has not learnt from: what is counted, in the game itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from worldmodels.rollouts.collect import play
from worldmodels.rollouts.held_actions import Strafing


def test_a_constant_chance_and_ms_own_are_told(
    script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["unmet_ends.py", "pretrained:take-cover", "--episodes", "1"])
    script("unmet_ends").main()
    said = capsys.readouterr().out
    match = re.match(r"([\d,]+) ticks, 1 deaths; a constant chance: ([\d.]+) nats a death", said)
    assert match, said
    ticks = int(match[1].replace(",", ""))
    constant = math.log(ticks) + (ticks - 1) * math.log(ticks / (ticks - 1))
    assert float(match[2]) == pytest.approx(constant, abs=0.01)
    nats = float(said.splitlines()[-1].split("|")[2])
    assert 0 < nats < 12


def test_ms_chance_is_that_of_one_tick_after_the_other(script: Callable[[str], Any]) -> None:
    ends = script("unmet_ends")
    work = ends.run_of_tics("pretrained:take-cover")
    vision, memory = ends.of_round(work, None)
    with work.pool() as pool:
        (episode,) = play(pool, Strafing(work.spec), [5], 40, 1)
    said = ends.followed(work, vision, memory, episode)
    state = memory.initial(1)
    for tick in range(len(episode.actions)):
        mu, _ = ends.encode_frames(vision, episode.frames[tick : tick + 1], work.device)
        action = torch.from_numpy(episode.actions[tick])[None]
        with torch.no_grad():
            hidden, state = memory.follow(torch.from_numpy(mu)[:, None], action[:, None], state)
            logit = memory.predict(hidden[0, 0]).end_logit
        assert float(said[tick]) == pytest.approx(float(logit) - math.log(10), abs=1e-3)
