"""Learning C where an episode's last tick is the end of everything, in a world whose best returns come last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.policy import Policy
from worldmodels.evolution.ppo import GradientConfig, Learning
from worldmodels.evolution.trying import TOLD, Players
from worldmodels.worlds.state import Step

HURRIES = ControllerConfig(feature_size=1, action_kinds=("symmetric",))
GRADIENT = GradientConfig(games=64, batch_size=256, learning_rate=0.03, noise=0.5, reward_scale=0.1)
FINITE = replace(GRADIENT, discount=1.0, finite=True)


class Late:
    """Each of 20 ticks pays its action, up to 1; the last one takes 1.5 for each point that was paid so."""

    feature_size, horizon, at_once, game_steps = 1, 20, 1000, 0
    device = torch.device("cpu")

    def reset(self, seeds: Sequence[int]) -> Tensor:
        self.tick, self.paid = 0, torch.zeros(len(seeds))
        return torch.ones(len(seeds), 1)

    def step(self, actions: Tensor) -> Step:
        self.tick += 1
        last = self.tick == self.horizon
        reward = torch.zeros(len(actions)) if last else actions[:, 0]
        self.paid = self.paid + reward
        reward = -1.5 * self.paid if last else reward
        running = torch.zeros(len(actions), dtype=torch.bool)
        missed = (actions[:, 0] > 0).long() * (not last)
        return Step(torch.ones(len(actions), 1), reward, running, running | last, missed)

    def keep(self, rows: Tensor) -> None:
        self.paid = self.paid[rows]


def learnt(gradient: GradientConfig, generations: int = 30) -> tuple[Learning, dict[str, float]]:
    learning = Learning(HURRIES, gradient, [Late()], generations, None, seed=1, round=0)
    numbers = [learning.generation(number) for number in range(generations)]
    return learning, numbers[-1]


def test_c_waits_for_what_comes_last_where_nothing_is_discounted():
    hurried, _ = learnt(replace(GRADIENT, discount=0.5))
    patient, numbers = learnt(FINITE)
    assert hurried.parameters_of_c().sum() > 1, "takes what it can, and pays for it"
    assert patient.parameters_of_c().sum() < -1
    assert numbers["mean"] > 5, "of 9.5 at most, with noise"


def test_a_critic_that_knows_how_late_it_is_foretells_the_rest():
    """Of the others the best guess is off by the spread of what is still to come."""
    _, knows = learnt(FINITE)
    _, guesses = learnt(replace(FINITE, discount=0.999, finite=False))
    assert knows["critic"] < 0.1 * guesses["critic"]


def test_the_critic_is_told_what_is_over_what_was_earned_and_what_was_missed():
    those = Players(Late(), HURRIES, jerk_cost=0.0, missed=2.0, finite=True)
    those.begin(range(3))
    policy = Policy(HURRIES, torch.zeros(1), torch.ones(1), 0.5, 0)
    tried = those.live(policy, torch.ones(20, 3, 1), 0.1)
    told = tried.seen[..., 1:]  # behind the one feature
    assert told.shape == (21, 3, TOLD)
    np.testing.assert_allclose(told[:, 0, 0], np.arange(21) / 20, rtol=1e-6)
    missed = told[..., 2]
    torch.testing.assert_close(missed, 0.1 * torch.arange(21.0).clamp(max=19)[:, None].expand(21, 3))
    # The critic's unit is 10 points here, and it is told a tenth of that.
    so_far = torch.cat([torch.zeros(1, 3), tried.rewards.cumsum(dim=0)]) + 0.1 * 2.0 * 10 * missed
    torch.testing.assert_close(told[..., 1], 0.1 * so_far)
    assert those.earned.tolist() == pytest.approx([-0.5 * 19 * float(np.tanh(0.5))] * 3)


def test_without_it_the_critic_is_told_nothing():
    those = Players(Late(), HURRIES, jerk_cost=0.0)
    those.begin(range(3))
    policy = Policy(HURRIES, torch.zeros(1), torch.ones(1), 0.5, 0)
    assert those.live(policy, torch.ones(20, 3, 1), 0.1).seen.shape == (21, 3, 1)


def test_a_discount_of_one_is_for_what_ends():
    with pytest.raises(ValueError, match=r"gradient.discount must be below 1 unless gradient.finite is true"):
        GradientConfig(discount=1.0)
