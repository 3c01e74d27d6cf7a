"""Tiles that are left behind untouched: what they cost C while it learns in a game, and what they do not touch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.policy import Policy
from worldmodels.evolution.ppo import GradientConfig, Learning
from worldmodels.evolution.trying import Players
from worldmodels.experiments import Experiment
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.state import Step

HURRIES = ControllerConfig(feature_size=1, action_kinds=("symmetric",))
GRADIENT = GradientConfig(games=64, batch_size=256, learning_rate=0.03)


class Bend:
    """Ten ticks that pay their action, and in which every action above 0 leaves a tile behind."""

    feature_size, horizon, at_once, game_steps = 1, 10, 1000, 0
    device = torch.device("cpu")
    counts = True

    def reset(self, seeds: Sequence[int]) -> Tensor:
        self.tick = 0
        return torch.ones(len(seeds), 1)

    def step(self, actions: Tensor) -> Step:
        self.tick += 1
        running = torch.zeros(len(actions), dtype=torch.bool)
        missed = (actions[:, 0] > 0).long() if self.counts else None
        seen = torch.ones(len(actions), 1)
        return Step(seen, actions[:, 0], running, running | (self.tick == self.horizon), missed)

    def keep(self, rows: Tensor) -> None:
        """Nothing is remembered of an episode."""


class NobodyCounts(Bend):
    counts = False


def tried(world: Bend, missed: float) -> tuple[Tensor, Tensor]:
    """Rewards to learn from (12, 2), in units of ten, and what counts as earned (2,): one hurries, one goes back."""
    those = Players(world, HURRIES, 0.0, missed)
    those.begin([1, 2])
    policy = Policy(HURRIES, torch.zeros(1), torch.ones(1), 1.0, 0)
    noise = torch.tensor([0.5, -0.5]).repeat(12, 1).unsqueeze(2)  # two ticks beyond the end
    return those.live(policy, noise, 0.1).rewards, those.earned


def test_what_is_missed_costs_at_once_and_is_not_taken_off_the_score():
    rewards, earned = tried(Bend(), missed=3.0)
    action = float(torch.tanh(torch.tensor(0.5)))
    assert rewards[:10, 0].tolist() == pytest.approx([0.1 * (action - 3)] * 10)
    assert rewards[:10, 1].tolist() == pytest.approx([-0.1 * action] * 10)
    assert not rewards[10:].any(), "nothing after the end"
    assert earned.tolist() == pytest.approx([10 * action, -10 * action])


@pytest.mark.parametrize(("world", "missed"), [(Bend(), 0.0), (NobodyCounts(), 3.0)])
def test_where_it_costs_nothing_or_nobody_counts_rewards_are_the_games(world: Bend, missed: float):
    rewards, earned = tried(world, missed)
    torch.testing.assert_close(rewards.sum(dim=0), 0.1 * earned)


@pytest.mark.parametrize(("missed", "hurries"), [(0.0, True), (3.0, False)])
def test_c_learns_what_it_is_charged(missed: float, hurries: bool):
    learning = Learning(HURRIES, replace(GRADIENT, missed=missed), [Bend()], 20, None, seed=1, round=0)
    for number in range(20):
        learning.generation(number)
    assert (learning.parameters_of_c().sum() > 0.5) == hurries
    assert (learning.parameters_of_c().sum() < -0.1) != hurries


@pytest.mark.parametrize("name", ["missed", "dream_missed"])
@pytest.mark.parametrize("missed", [-1.0, float("inf"), float("nan")])
def test_a_cost_below_zero_or_without_end_is_refused(name: str, missed: float):
    with pytest.raises(ValueError, match=rf"gradient.{name} must not be negative"):
        replace(GRADIENT, **{name: missed})


class DreamtBend(Bend):
    """A bend that goes on where it was stopped, as dreams do."""

    state: tuple[Tensor, ...] = ()

    def seen(self) -> Tensor:
        return torch.ones(64, 1)


@pytest.mark.parametrize(("cost", "hurries"), [({"missed": 3.0}, True), ({"dream_missed": 3.0}, False)])
def test_a_dream_has_a_cost_of_its_own(cost: dict[str, float], hurries: bool):
    gradient = replace(GRADIENT, dreams=64, ticks=10, **cost)
    learning = Learning(HURRIES, gradient, [DreamtBend()], 20, None, seed=1, round=0)
    for number in range(20):
        learning.generation(number)
    assert (learning.parameters_of_c().sum() > 0.5) == hurries
    assert (learning.parameters_of_c().sum() < -0.1) != hurries


def test_a_dream_that_leaves_no_road_behind_cannot_charge_for_it():
    gradient = replace(GRADIENT, dream_missed=10.0)
    with pytest.raises(ValueError, match=r"gradient.dream_missed needs dream.missed above 0"):
        Experiment(gradient=gradient)
    Experiment(gradient=gradient, dream=DreamConfig(lap=900.0, missed=4.2))
