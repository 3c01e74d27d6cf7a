"""The C that learns from a planner: what it is, that it learns, and that it plays the game itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from worldmodels.controller.linear import act
from worldmodels.envs.take_cover import TAKE_COVER

Script = Callable[[str], Any]


@pytest.fixture
def cloned(script: Script) -> Any:
    return script("cloned")


def test_its_steps_are_those_that_the_game_makes_of_its_actions(cloned: Any) -> None:
    actions = torch.linspace(-1, 1, 41)
    taken = TAKE_COVER.game_actions(actions.numpy()[:, None])
    left, stay, right = TAKE_COVER.thirds or (0, 0, 0)
    assert taken.tolist() == [{-1: left, 0: stay, 1: right}[int(step)] for step in cloned.third(actions)]


def test_a_hidden_layer_tells_what_a_layer_alone_cannot(cloned: Any) -> None:
    """Whether to step at all hangs on how near something is on either side: the case of a fireball."""
    aside = torch.linspace(-1, 1, 2001)[:, None]
    steps = torch.where(aside.abs() < 0.4, -aside.sign(), torch.zeros(())).squeeze(1)
    agrees = []
    for hidden in (0, 64):
        torch.manual_seed(0)
        agrees.append(cloned.Clone(1, hidden).learn(aside, steps, 0))
    assert agrees[0] < 0.65
    assert agrees[1] > 0.7


def test_planner_and_clone_play_the_game_from_what_c_sees(cloned: Any, tmp_path: Path) -> None:
    work = cloned.run_of_tics("pretrained:take-cover")
    parts = work.best()
    senses = cloned.Senses(parts.vision, parts.memory, "zch", torch.device("cpu"))
    clone = cloned.Clone(senses.feature_size, 4)
    with cloned.the_game(tmp_path, shown=True) as game:
        game.set_episode_timeout(80)
        for who in (None, clone):
            seen, told = cloned.play(game, senses, 3, who)
            assert seen.shape == (len(told), 1088)
            assert 20 < len(told) <= 80
            assert np.isfinite(seen).all()
            assert set(np.unique(told)) <= {-1, 0, 1}


@pytest.mark.parametrize("hidden", [0, 5])
def test_what_is_deployed_does_the_same(cloned: Any, hidden: int) -> None:
    parts = cloned.run_of_tics("pretrained:take-cover").best()
    torch.manual_seed(1)
    clone, seen = cloned.Clone(1088, hidden), 3 * torch.randn(50, 1088) + 1
    clone.shift, clone.scale = seen.mean(0), seen.std(0)
    found = clone.deployed(parts)
    assert found.parameters.shape == (found.config.parameter_count,)
    actions = act(found.config, found.parameters[None], seen[None])[0, :, 0]
    torch.testing.assert_close(actions, clone(seen).detach())
