"""What holds in every world: one test, both implementations. Evolution cannot tell which of them it has."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.pool import GamePool
from worldmodels.evolution import fitness
from worldmodels.evolution.fitness import returns
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.starts import gather_starts
from worldmodels.worlds.state import FEATURES, Step, World

MakeWorld = Callable[..., World]
SEEDS = list(range(12))


@pytest.fixture(params=["dream", "actual"])
def make_world(
    request: pytest.FixtureRequest,
    random_latents: Callable[..., LatentEpisode],
    toy_vision: VAE,
    toy_memory: MDNRNN,
    toy_pool: GamePool,
) -> MakeWorld:
    """make_world(horizon=50, features="zh"): a world with one action, dreamt or actual."""

    def dream(horizon: int = 50, features: str = "zh") -> World:
        episodes = [random_latents(9, seed) for seed in range(20)]
        one_action = [LatentEpisode(e.mu, e.logvar, e.actions[:, :1], e.rewards, True) for e in episodes]
        starts = gather_starts(toy_memory, one_action, 20, np.random.default_rng(0))
        return DreamWorld(toy_memory, starts, DreamConfig(horizon=horizon), features)

    def actual(horizon: int = 50, features: str = "zh") -> World:
        return ActualWorld(Senses(toy_vision, toy_memory, features, torch.device("cpu")), toy_pool, horizon)

    return dream if request.param == "dream" else actual


def play(world: World, seeds: Sequence[int], ticks: int, *, calm: bool = False) -> tuple[Tensor, list[Step]]:
    """First features, and all steps with one and the same action for each episode (`calm`: 0 for all)."""
    first = world.reset(seeds)
    speeds = torch.tensor([[0.0 if calm else np.cos(2.0 * seed)] for seed in seeds], dtype=torch.float32)
    return first, [world.step(speeds) for _ in range(ticks)]


@pytest.mark.parametrize("features", FEATURES)
def test_shapes_and_types(make_world: MakeWorld, features: str):
    world = make_world(features=features)
    assert world.feature_size == 4 + 16 * (len(features) - 1)
    first, (step, *_) = play(world, SEEDS, 1)
    assert first.shape == step.features.shape == (12, world.feature_size)
    assert first.dtype == step.features.dtype == step.reward.dtype == torch.float32
    assert step.reward.shape == step.terminated.shape == step.truncated.shape == (12,)
    assert step.terminated.dtype == step.truncated.dtype == torch.bool
    assert not step.terminated.requires_grad


def test_an_ended_episode_stays_ended_and_earns_nothing(make_world: MakeWorld):
    _, steps = play(make_world(), SEEDS, 50)
    terminated = torch.stack([step.terminated for step in steps])  # (T, B)
    truncated = torch.stack([step.truncated for step in steps])
    rewards = torch.stack([step.reward for step in steps])
    assert bool(terminated[-1].any()), "no episode of this test ends"
    assert not terminated[-1].all(), "no episode of this test goes on"
    assert not (terminated & truncated).any()
    ended = terminated | truncated
    assert bool((ended[1:] >= ended[:-1]).all()), "an ended episode went on"
    assert not rewards[1:][ended[:-1]].any(), "an ended episode was paid"
    assert bool((rewards[0] != 0).any())


def test_the_horizon_truncates_what_has_not_ended(make_world: MakeWorld):
    _, steps = play(make_world(horizon=10), SEEDS, 10)
    assert not any(step.truncated.any() for step in steps[:-1])
    assert torch.equal(steps[-1].truncated, ~steps[-1].terminated)
    assert bool(steps[-1].truncated.any())


def test_the_same_seeds_are_the_same_episodes(make_world: MakeWorld):
    world = make_world()
    (first, steps), (first_again, steps_again) = (play(world, SEEDS, 20) for _ in range(2))
    assert torch.equal(first, first_again)
    for step, again in zip(steps, steps_again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(step[:4], again[:4], strict=True))
    other, _ = play(world, [seed + 100 for seed in SEEDS], 1)
    assert not torch.equal(first, other)


def test_an_episode_does_not_depend_on_its_neighbours(make_world: MakeWorld):
    world = make_world()
    first, together = play(world, SEEDS, 45)
    for seed in (0, 5, 11):
        alone_first, alone = play(world, [seed], 45)
        assert_close(alone_first[0], first[seed], rtol=1e-4, atol=1e-5)
        for a, b in zip(alone, together, strict=True):
            assert_close(a.features[0], b.features[seed], rtol=1e-3, atol=1e-4)
            assert_close(a.reward[0], b.reward[seed], rtol=1e-3, atol=1e-4)
            assert bool(a.terminated[0]) == bool(b.terminated[seed])


def test_episodes_that_are_kept_go_on_as_they_would_have(make_world: MakeWorld):
    world = make_world()
    _, together = play(world, SEEDS, 45)
    ended = together[29].terminated | together[29].truncated
    kept = [seed for seed in SEEDS if not ended[seed]]
    kept = kept[1:] + kept[:1]  # in the order they are asked for in
    assert 1 < len(kept) < len(SEEDS)
    play(world, SEEDS, 30)
    world.keep(torch.tensor(kept))
    speeds = torch.tensor([[np.cos(2.0 * seed)] for seed in kept], dtype=torch.float32)
    after = [world.step(speeds) for _ in range(15)]
    for a, b in zip(after, together[30:], strict=True):
        assert_close(a.features, b.features[kept], rtol=1e-3, atol=1e-4)
        assert_close(a.reward, b.reward[kept], rtol=1e-3, atol=1e-4)
        assert torch.equal(a.terminated, b.terminated[kept])
        assert torch.equal(a.truncated, b.truncated[kept])
    again, _ = play(world, SEEDS, 1)
    assert again.shape[0] == len(SEEDS), "a reset begins with all of them"


def test_returns_do_not_depend_on_leaving_ended_episodes_behind(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
):
    world = make_world(horizon=60)
    config = ControllerConfig(feature_size=world.feature_size, action_kinds=("symmetric",))
    parameters = 0.5 * torch.randn(6, config.parameter_count, generator=torch.Generator().manual_seed(1))
    kept: list[int] = []
    keep = world.keep
    monkeypatch.setattr(world, "keep", lambda rows: (kept.append(len(rows)), keep(rows)))
    left_behind = returns(config, parameters, world, SEEDS)
    assert kept, "nothing has ended in time to be left behind"
    monkeypatch.setattr(fitness, "CROWDED", 0.0)
    kept.clear()
    carried_along = returns(config, parameters, world, SEEDS)
    assert not kept
    assert_close(left_behind, carried_along, rtol=1e-4, atol=1e-4)


def test_every_reset_begins_anew(make_world: MakeWorld):
    world = make_world(horizon=8)
    fresh, (fresh_step, *_) = play(world, [3, 4], 1)
    play(world, SEEDS, 8)
    again, (again_step, *_) = play(world, [3, 4], 1)
    assert torch.equal(fresh, again)
    assert torch.equal(fresh_step.features, again_step.features)
    assert not again_step.truncated.any()


def test_a_controller_is_at_home_in_it(make_world: MakeWorld):
    """`returns` of a population: what was earned by each, tick by tick."""
    world = make_world(horizon=20)
    config = ControllerConfig(feature_size=world.feature_size, action_kinds=("symmetric",))
    parameters = torch.zeros(2, config.parameter_count)
    parameters[1, -1] = 5  # the bias: full speed ahead, which ends a dream and loses some balls
    total = returns(config, parameters, world, [1, 2, 3])
    assert total.shape == (2, 3)
    _, steps = play(world, [1, 2, 3], 20, calm=True)
    assert_close(total[0], torch.stack([step.reward for step in steps]).sum(dim=0), rtol=1e-4, atol=1e-4)
    assert float(total[1].sum()) < float(total[0].sum())
