"""The dream of another M: its latents and rewards, followed by the memory of C's own M."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.fitness import returns
from worldmodels.memory.mdn_rnn import MDNRNN, Recurrent, advance
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.others_dream import OthersDream
from worldmodels.worlds.starts import Starts, gather_starts

CONFIG = DreamConfig(horizon=40, openings=0.4, action_noise=0.5)
BOUNDS = torch.tensor([-1.0, -1.0]), torch.tensor([1.0, 1.0])
LATENT, HIDDEN, TICKS = 4, 16, 12
SEEDS = range(50)


@pytest.fixture(scope="module")
def other(memory: MDNRNN) -> MDNRNN:
    """An M of the same shape that knows another world."""
    torch.manual_seed(99)
    return MDNRNN(replace(memory.config)).requires_grad_(False).eval()


@pytest.fixture(scope="module")
def others_starts(other: MDNRNN, random_latents: Callable[..., LatentEpisode]) -> Starts:
    """The same moments as `starts`, as the other M remembers them."""
    episodes = [random_latents(4 + seed, seed) for seed in range(30)]
    return gather_starts(other, episodes, 40, np.random.default_rng(0))


def actions(tick: int) -> Tensor:
    """Actions (B, 2) that do not end the dreams of `memory`."""
    return torch.rand(len(SEEDS), 2, generator=torch.Generator().manual_seed(tick)) - 1


def test_the_same_m_twice_is_its_own_dream(memory: MDNRNN, starts: Starts):
    own = DreamWorld(memory, starts, CONFIG, action_bounds=BOUNDS)
    followed = OthersDream(memory, starts, DreamWorld(memory, starts, CONFIG, action_bounds=BOUNDS))
    assert torch.equal(own.reset(SEEDS), followed.reset(SEEDS))
    assert followed.feature_size == own.feature_size
    for tick in range(TICKS):
        for mine, its in zip(own.step(actions(tick)), followed.step(actions(tick)), strict=True):
            assert_close(its, mine, rtol=1e-5, atol=1e-6)


def test_it_is_the_other_that_dreams_and_c_s_own_that_remembers(
    memory: MDNRNN, starts: Starts, other: MDNRNN, others_starts: Starts
):
    calm = replace(CONFIG, action_noise=0.0)
    alone = DreamWorld(other, others_starts, calm)
    followed = OthersDream(memory, starts, DreamWorld(other, others_starts, calm))
    alone.reset(SEEDS)
    seen = followed.reset(SEEDS)
    for tick in range(TICKS):
        z, h = seen[:, :LATENT], seen[:, LATENT:]
        assert torch.equal(z, alone.z)
        c = followed.state[-1]
        remembered = advance(memory.tick_weights(), z, actions(tick), Recurrent(h, c))
        expected, step = alone.step(actions(tick)), followed.step(actions(tick))
        assert torch.equal(step.reward, expected.reward)
        assert torch.equal(step.terminated, expected.terminated)
        assert_close(step.features[:, LATENT:], remembered.h)
        assert not torch.allclose(step.features[:, LATENT:], alone.memory.h, atol=1e-3)
        seen = step.features


@pytest.mark.parametrize("recorded", [False, True])
def test_whoever_ends_is_left_behind_and_nobody_else_changes(
    memory: MDNRNN, starts: Starts, other: MDNRNN, others_starts: Starts, recorded: bool
):
    model = MDNRNN(other.config).requires_grad_(False)
    model.load_state_dict(other.state_dict())
    model.head.weight[-1] *= 20  # ends come early, and at other ticks for each
    together = DreamWorld(model, others_starts, CONFIG, action_bounds=BOUNDS)
    together._records = recorded  # what `compile` does on a GPU
    config = ControllerConfig(feature_size=LATENT + HIDDEN, action_kinds=("symmetric", "symmetric"))
    parameters = torch.randn(6, config.parameter_count, generator=torch.Generator().manual_seed(1))
    world = OthersDream(memory, starts, together)
    played = returns(config, parameters, world, SEEDS)
    assert len(together.z) < 6 * len(SEEDS), "some have ended"
    for seed in (0, 7, 31):
        alone = returns(config, parameters[2:3], OthersDream(memory, starts, together), [seed])
        assert_close(alone[0, 0], played[2, seed], rtol=1e-4, atol=1e-4)


def test_other_moments_are_refused(
    memory: MDNRNN, starts: Starts, random_latents: Callable[..., LatentEpisode]
):
    elsewhere = gather_starts(memory, [random_latents(9, 500)], 40, np.random.default_rng(0))
    with pytest.raises(ValueError, match="same moments"):
        OthersDream(memory, elsewhere, DreamWorld(memory, starts, CONFIG))
