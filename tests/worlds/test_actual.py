"""The actual world: what C is given is what V sees and what M remembers, of each game its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from worldmodels.envs.game import game
from worldmodels.envs.pool import GamePool, open_pool
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.vision.vae import VAE, pixels
from worldmodels.worlds.actual import ActualWorld, Senses

TICKS = 12


@pytest.fixture
def senses(toy_vision: VAE, toy_memory: MDNRNN) -> Senses:
    return Senses(toy_vision, toy_memory, "zh", torch.device("cpu"))


def by_hand(vision: VAE, memory: MDNRNN, frames: np.ndarray, actions: Tensor) -> Tensor:
    """Features (T + 1, F) of one episode, frames (T + 1, 64, 64, 3) and actions (T, A), in one sweep."""
    z, _ = vision.encode(pixels(torch.from_numpy(frames)))
    remembered = memory.sequence(z[None, :-1], actions[None])[0]  # (T, N)
    hidden = torch.cat([torch.zeros(1, remembered.shape[1]), remembered])
    return torch.cat([z, hidden], dim=1)


def test_features_are_what_v_sees_and_m_remembers(
    senses: Senses, toy_vision: VAE, toy_memory: MDNRNN, toy_pool: GamePool
):
    actions = 2 * torch.rand(3, TICKS, 1, generator=torch.Generator().manual_seed(0)) - 1
    frames = [toy_pool.reset([4, 5, 6])]
    rewards = []
    for t in range(TICKS):
        step = toy_pool.step(actions[:, t].numpy())
        frames.append(step.frames)
        rewards.append(step.rewards)
    with open_pool(game("toy")) as pool:
        world = ActualWorld(senses, pool, horizon=100)
        seen = [world.reset([4, 5, 6])]
        steps = [world.step(actions[:, t]) for t in range(TICKS)]
    seen += [step.features for step in steps]
    for b in range(3):
        expected = by_hand(toy_vision, toy_memory, np.stack(frames)[:, b], actions[b])
        assert_close(torch.stack(seen)[:, b], expected, rtol=1e-4, atol=1e-5)
    assert np.array_equal(torch.stack([step.reward for step in steps]).numpy(), np.stack(rewards))


def test_ends_and_limits_are_the_games_own(senses: Senses, toy_pool: GamePool):
    world = ActualWorld(senses, toy_pool, horizon=100)
    seeds = list(range(8))
    world.reset(seeds)
    steps = [world.step(torch.ones(8, 1)) for _ in range(45)]  # the toy game cuts off after 40
    terminated, truncated = steps[-1].terminated.numpy(), steps[-1].truncated.numpy()
    assert np.array_equal(terminated, ~truncated)
    assert terminated.any()
    assert truncated.any()
    assert (toy_pool.steps_taken[truncated] == 40).all()
    for b, length in enumerate(toy_pool.steps_taken):
        assert [bool((step.terminated | step.truncated)[b]) for step in steps].index(True) == length - 1


def test_the_mean_of_v_is_seen_without_noise(senses: Senses, toy_pool: GamePool):
    frames = toy_pool.reset([1, 2])
    assert torch.equal(senses.begin(frames), senses.begin(frames))


def test_a_world_asks_for_no_gradients(senses: Senses, toy_pool: GamePool):
    world = ActualWorld(senses, toy_pool, horizon=5)
    assert not world.reset([1]).requires_grad
    assert not world.step(torch.zeros(1, 1)).features.requires_grad


def test_patience_cuts_off_what_no_longer_pays_and_stops_the_game(senses: Senses, toy_pool: GamePool):
    """Away from the ball, nothing is paid; the toy itself takes a ball for lost after 8 such steps."""
    away = torch.ones(8, 1)
    world = ActualWorld(senses, toy_pool, horizon=40, patience=3)
    world.reset(range(8))
    steps = [world.step(away) for _ in range(40)]
    rewards = torch.stack([step.reward for step in steps]).numpy()  # (T, B)
    ended = torch.stack([step.truncated | step.terminated for step in steps]).numpy()
    lengths = 40 - ended.sum(axis=0) + 1
    for b in range(8):
        unpaid = [sum(rewards[t - 2 : t + 1, b] > 0) == 0 for t in range(2, 40)]
        expected = 3 + unpaid.index(True) if any(unpaid) else 40
        assert lengths[b] == expected
    assert lengths.min() < 40
    assert not steps[-1].terminated[np.flatnonzero(lengths < 40)].any()
    assert toy_pool.steps_taken.tolist() == lengths.tolist(), "a game was played on after its end"


def test_steps_of_the_game_are_counted_over_all_batches(senses: Senses, toy_pool: GamePool):
    toy_pool.reset([1])
    toy_pool.step(np.zeros((1, 1), np.float32))  # before this world: not its own
    world = ActualWorld(senses, toy_pool, horizon=5)
    assert world.game_steps == 0
    for _ in range(2):
        world.reset([1, 2, 3])
        for _ in range(5):
            world.step(torch.zeros(3, 1))
    assert world.game_steps == 30
