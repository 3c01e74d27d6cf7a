"""Fitness: what every individual earns in the same episodes, all played as one batch."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.controller.linear import ControllerConfig, act
from worldmodels.errors import UserError
from worldmodels.evolution import fitness
from worldmodels.evolution.evolve import EvolutionConfig, mean_of_worst
from worldmodels.evolution.fitness import LOOK_EVERY, returns
from worldmodels.worlds.state import Step

CONFIG = ControllerConfig(feature_size=3, action_kinds=("symmetric", "unit"))


class SeededWorld:
    """Features follow from seed, tick and the last action; it pays 100 * seed + tick + the actions' product.

    An episode with an odd seed ends with tick number `seed`, one with an even seed goes on.
    """

    feature_size, at_once, game_steps = 3, 1000, 0
    device = torch.device("cpu")

    def __init__(self, horizon: int) -> None:
        self.horizon, self.ticks, self.episode_ticks = horizon, 0, 0
        self.resets: list[int] = []  # how many episodes were begun each time

    def reset(self, seeds: Sequence[int]) -> Tensor:
        self.resets.append(len(seeds))
        self.seeds, self.tick = torch.tensor(list(seeds), dtype=torch.float32), 0
        self.ended = torch.zeros(len(self.seeds), dtype=torch.bool)
        return self._features(torch.zeros(len(self.seeds)))

    def _features(self, action: Tensor) -> Tensor:
        return torch.stack(
            [torch.sin(self.seeds), torch.full_like(self.seeds, self.tick / 10), action], dim=1
        )

    def keep(self, rows: Tensor) -> None:
        assert bool(self.ended[[i for i in range(len(self.seeds)) if i not in rows]].all())
        self.seeds, self.ended = self.seeds[rows], self.ended[rows]

    def step(self, actions: Tensor) -> Step:
        self.ticks += 1
        self.episode_ticks += len(actions)
        self.tick += 1
        reward = 100 * self.seeds + self.tick + actions.prod(dim=1)
        reward = torch.where(self.ended, 0.0, reward)
        self.ended = self.ended | ((self.seeds % 2 == 1) & (self.tick >= self.seeds))
        truncated = torch.full_like(self.ended, self.tick >= self.horizon) & ~self.ended
        return Step(self._features(actions[:, 0]), reward, self.ended, truncated)


def population(size: int) -> Tensor:
    return torch.randn(size, CONFIG.parameter_count, generator=torch.Generator().manual_seed(0))


def by_hand(parameters: Tensor, seed: int, horizon: int, jerk_cost: float = 0.0) -> float:
    """Return of one individual in one episode, in plain words."""
    world, total = SeededWorld(horizon), 0.0
    seen, before = world.reset([seed]), None
    while True:
        action = act(CONFIG, parameters[None], seen[None])[0]
        step = world.step(action)
        total += float(step.reward[0])
        if before is not None:
            total -= jerk_cost * float((action - before).square().sum())
        seen, before = step.features, action
        if bool(step.terminated[0]) or bool(step.truncated[0]):
            return total


@pytest.mark.parametrize("jerk_cost", [0.0, 2.0])
def test_returns_are_those_of_playing_one_by_one(jerk_cost: float):
    parameters, seeds = population(4), [2, 3, 8]
    together = returns(CONFIG, parameters, SeededWorld(7), seeds, jerk_cost)
    assert together.shape == (4, 3)
    for p in range(4):
        for r, seed in enumerate(seeds):
            expected = by_hand(parameters[p], seed, 7, jerk_cost)
            assert float(together[p, r]) == pytest.approx(expected, abs=0.01)


def test_jerks_cost_and_steadiness_does_not():
    steady, jerky = torch.zeros(CONFIG.parameter_count), population(1)[0]
    both = torch.stack([steady, jerky])
    free, costly = (returns(CONFIG, both, SeededWorld(8), [2, 4], jerk_cost) for jerk_cost in (0.0, 1.0))
    assert torch.equal(free[0], costly[0])
    assert bool((free[1] > costly[1]).all())


def test_all_individuals_meet_the_same_episodes():
    twins = population(1).expand(5, -1)
    total = returns(CONFIG, twins, SeededWorld(6), [2, 3, 4])
    assert torch.equal(total, total[:1].expand(5, -1))
    assert len(total[0].unique()) == 3


def test_rivals_make_no_difference():
    parameters = population(6)
    together = returns(CONFIG, parameters, SeededWorld(9), [2, 5])
    reversed_ = returns(CONFIG, parameters.flip(0), SeededWorld(9), [5, 2])
    assert_close(together, reversed_.flip(0).flip(1))


def test_the_last_tick_of_the_horizon_is_paid():
    total = returns(CONFIG, torch.zeros(1, CONFIG.parameter_count), SeededWorld(5), [0])
    assert float(total) == 1 + 2 + 3 + 4 + 5


def test_an_episode_is_paid_up_to_its_end():
    total = returns(CONFIG, torch.zeros(1, CONFIG.parameter_count), SeededWorld(50), [3])
    assert float(total) == 3 * 300 + 1 + 2 + 3


def test_playing_stops_soon_after_all_have_ended():
    world = SeededWorld(1000)
    returns(CONFIG, population(2), world, [1, 3, LOOK_EVERY + 1])
    assert world.ticks == 2 * LOOK_EVERY
    world = SeededWorld(1000)
    returns(CONFIG, population(2), world, [1, 2])
    assert world.ticks == 1000, "an even seed never ends"


LENGTHS = [1, 3, 17, 20, 33, 49, 50, 81, 101, 143, 199]  # odd seeds end with the tick of their number


@pytest.mark.parametrize("jerk_cost", [0.0, 2.0])
def test_leaving_ended_episodes_behind_changes_no_return(jerk_cost: float, monkeypatch: pytest.MonkeyPatch):
    parameters = population(5)
    left_behind = returns(CONFIG, parameters, SeededWorld(200), LENGTHS, jerk_cost)
    monkeypatch.setattr(fitness, "CROWDED", 0.0)
    carried_along = returns(CONFIG, parameters, SeededWorld(200), LENGTHS, jerk_cost)
    assert_close(left_behind, carried_along, rtol=1e-5, atol=1e-4)
    for p, r in [(0, 0), (4, 3), (2, 10)]:
        expected = by_hand(parameters[p], LENGTHS[r], 200, jerk_cost)
        assert float(left_behind[p, r]) == pytest.approx(expected, rel=1e-5)


def test_a_batch_costs_about_as_much_as_its_episodes_are_long():
    world, seeds = SeededWorld(1000), [*range(1, 64, 2), 999]  # one of 33 goes on for long
    returns(CONFIG, population(4), world, seeds)
    needed = 4 * sum(seeds)
    assert needed <= world.episode_ticks < 1.5 * needed + 4 * len(seeds) * LOOK_EVERY
    assert world.episode_ticks < 0.1 * 4 * len(seeds) * 999


def test_more_episodes_than_fit_are_played_in_several_batches():
    parameters, seeds = population(3), list(range(1, 12))
    expected = returns(CONFIG, parameters, SeededWorld(30), seeds)
    world = SeededWorld(30)
    world.at_once = 13
    assert_close(returns(CONFIG, parameters, world, seeds), expected)
    assert world.resets == [12, 12, 9]
    world = SeededWorld(30)
    world.at_once = 2
    assert_close(returns(CONFIG, parameters, world, seeds[:4]), expected[:, :4])
    assert world.resets == [3] * 4, "one episode for each individual, however many there are"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_population_may_lie_elsewhere_than_its_world():
    class OnGpu(SeededWorld):
        def reset(self, seeds: Sequence[int]) -> Tensor:
            return super().reset(seeds).cuda()

        def keep(self, rows: Tensor) -> None:
            super().keep(rows.cpu())

        def step(self, actions: Tensor) -> Step:
            assert actions.is_cuda
            return Step(*(part.cuda() for part in super().step(actions.cpu())[:4]))

    expected = returns(CONFIG, population(3), SeededWorld(5), [2, 4])
    assert_close(returns(CONFIG, population(3), OnGpu(5), [2, 4]).cpu(), expected, rtol=1e-4, atol=1e-2)


def test_no_gradient_is_kept():
    assert not returns(CONFIG, population(2).requires_grad_(), SeededWorld(3), [2]).requires_grad


def test_fitness_is_the_mean_of_the_worst_episodes():
    played = torch.tensor([[4.0, 1.0, 2.0, 3.0], [9.0, 9.0, -9.0, 9.0]])
    for share, expected in [(1.0, [2.5, 4.5]), (0.5, [1.5, 0.0]), (0.25, [1.0, -9.0]), (0.01, [1.0, -9.0])]:
        assert_close(mean_of_worst(played, share), torch.tensor(expected))
    with pytest.raises(UserError, match="not finite"):
        mean_of_worst(torch.tensor([[1.0, torch.nan, torch.inf]]), 0.5)
    with pytest.raises(ValueError, match=r"evolution\.worst"):
        EvolutionConfig(worst=0.0)
