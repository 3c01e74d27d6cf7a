"""What C can read of danger: what is dangerous, how it is read, and that games are played for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Script = Callable[[str], Any]


@pytest.fixture
def dangers(script: Script) -> Any:
    return script("dangers")


def flight(dangers: Any, x: float, y: float) -> Any:
    return dangers.Flight(*(np.array([value]) for value in (x, y, -10.0, 0.0)))


@pytest.mark.parametrize(
    ("x", "y", "dangerous"),
    [
        (-216.0, 384.0, [False, True, False]),  # straight ahead, 20 tics away: whoever stays is met
        (-216.0, 484.0, [False, False, True]),  # where one gets in 20 tics who runs to the left
        (-216.0, 284.0, [True, False, False]),
        (84.0, 384.0, [False, False, False]),  # 50 tics away
    ],
)
def test_what_is_dangerous(dangers: Any, x: float, y: float, dangerous: list[bool]) -> None:
    player = dangers.Player(-416.0, 384.0, 0.0)
    assert dangers.dangerous(player, flight(dangers, x, y), dangers.plans()[:3]).tolist() == dangerous


def test_without_fireballs_nothing_is(dangers: Any) -> None:
    nothing = dangers.Flight(*(np.zeros(0) for _ in range(4)))
    assert not dangers.dangerous(dangers.Player(-416.0, 384.0, 0.0), nothing, dangers.plans()[:3]).any()


def test_what_a_layer_reads_and_what_only_a_hidden_one(dangers: Any) -> None:
    """The first is the sign of a feature, the second whether two have the same, the third is not in the features."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(8000, 8, generator=generator)
    chance = torch.rand(8000, generator=generator)
    danger = torch.stack(
        [features[:, 0] > 0, features[:, 1] * features[:, 2] > 0, chance < 0.5], dim=1
    ).float()
    group = torch.arange(8000) % 4
    layer, deep = (dangers.explained(features, danger, group, hidden) for hidden in (0, 128))
    assert 0.05 < layer < 1 / 3
    assert layer + 0.1 < deep < 2 / 3
    assert abs(dangers.explained(features, danger[:, 2:], group, 0)) < 0.02


def test_a_layer_reads_what_is_rare(dangers: Any) -> None:
    """It begins at how often, and need not come there from even chances."""
    torch.manual_seed(0)
    features, group = torch.randn(8000, 20), torch.arange(8000) % 4
    rare = torch.stack([features[:, 0] > 1.5, torch.rand(8000) < 0.05], dim=1).float()
    assert dangers.explained(features, rare[:, :1], group, 0) > 0.2
    assert abs(dangers.explained(features, rare[:, 1:], group, 0)) < 0.02


def test_games_are_played_and_seen(dangers: Any, tmp_path: Path) -> None:
    work = dangers.run_of_tics("pretrained:take-cover")
    with dangers.the_game(tmp_path, shown=True) as game:
        game.set_episode_timeout(70)
        played = dangers.play(game, 3, steady=False)
    ticks = len(played.frames)
    assert 20 < ticks <= 70
    assert played.actions.shape == (ticks, 1)
    assert played.of_all.shape == played.in_sight.shape == (ticks, 3)
    assert not (played.in_sight & ~played.of_all).any()
    senses = dangers.Senses(*dangers.of_round(work, None), "zch", torch.device("cpu"))
    assert dangers.sensed(senses, played).shape == (ticks, 1088)
