"""C at the wheel: it does what C says, and what noise it gets is the episode's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.evolution.fitness import returns
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.episode import Episode
from worldmodels.vision.vae import VAE, pixels
from worldmodels.worlds.actual import ActualWorld, Senses
from worldmodels.worlds.policy import ActionNoise, ControllerPolicy

SPEC = game("toy")
CONFIG = ControllerConfig(feature_size=20, action_kinds=SPEC.action_kinds)
Drive = Callable[..., list[Episode]]


@pytest.fixture
def senses(toy_vision: VAE, toy_memory: MDNRNN) -> Senses:
    return Senses(toy_vision, toy_memory, "zh", torch.device("cpu"))


@pytest.fixture
def parameters() -> torch.Tensor:
    return 0.5 * torch.randn(CONFIG.parameter_count, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def drive(senses: Senses, parameters: torch.Tensor) -> Drive:
    def drive(seeds: Sequence[int], noise: ActionNoise | None = None, ticks: int = 20) -> list[Episode]:
        policy = ControllerPolicy(senses, CONFIG, parameters, SPEC.action_low, SPEC.action_high, noise)
        with open_pool(SPEC) as pool:
            return play(pool, policy, seeds, ticks, action_repeat=1)

    return drive


def test_without_noise_it_does_what_c_does_in_the_actual_world(
    drive: Drive, senses: Senses, parameters: torch.Tensor
):
    episodes = drive([3, 4, 5])
    with open_pool(SPEC) as pool:
        scores = returns(CONFIG, parameters[None], ActualWorld(senses, pool, horizon=20), [3, 4, 5])
    assert_allclose([episode.score for episode in episodes], scores[0], rtol=1e-4)
    assert episodes[0].policy == "controller"


def test_each_game_begins_with_an_empty_memory(drive: Drive):
    again = [drive([3, 4])[0] for _ in range(2)]
    assert np.array_equal(again[0].actions, again[1].actions)


def test_that_share_of_the_episodes_is_disturbed(drive: Drive):
    plain = drive([3, 4, 5, 6])
    half = drive([3, 4, 5, 6], ActionNoise(sigma=0.3, share=0.5))
    for a, b in zip(plain[2:], half[2:], strict=True):
        assert_allclose(a.actions, b.actions, atol=1e-6)
    for a, b in zip(plain[:2], half[:2], strict=True):
        assert np.abs(a.actions[:3] - b.actions[:3]).max() > 0.05


def test_noise_is_each_episodes_own(drive: Drive):
    noise = ActionNoise(sigma=0.3, share=1.0)
    together, alone = drive([3, 4, 5], noise), drive([4], noise)
    assert_allclose(together[1].actions, alone[0].actions, atol=1e-4)
    assert_allclose(together[1].score, alone[0].score, rtol=1e-3)


def test_disturbed_actions_stay_in_the_games_range(drive: Drive):
    for episode in drive([3, 4, 5], ActionNoise(sigma=5.0, share=1.0)):
        assert float(np.abs(episode.actions).max()) == 1.0


def test_noise_is_smooth_and_of_the_given_strength(senses: Senses):
    """A C of zeros stands still: what it does is noise alone."""
    standing = torch.zeros(CONFIG.parameter_count)
    bounds = np.full(1, -9, np.float32), np.full(1, 9, np.float32)
    policy = ControllerPolicy(senses, CONFIG, standing, *bounds, ActionNoise(0.3, 0.9, share=1.0))
    policy.start(range(20))
    frames = np.zeros((20, 64, 64, 3), np.uint8)
    walk = np.stack([policy.act(frames)[:, 0] for _ in range(80)])[30:]  # (T, B), once it has settled
    assert walk.std() == pytest.approx(0.3, rel=0.2)
    assert np.corrcoef(walk[:-1].ravel(), walk[1:].ravel())[0, 1] == pytest.approx(0.9, abs=0.05)


def test_what_was_done_is_what_m_remembers(
    senses: Senses, toy_vision: VAE, toy_memory: MDNRNN, parameters: torch.Tensor
):
    """Also where noise made it another action than C's."""
    noise = ActionNoise(sigma=0.3, share=1.0)
    policy = ControllerPolicy(senses, CONFIG, parameters, SPEC.action_low, SPEC.action_high, noise)
    frames = np.random.default_rng(0).integers(0, 256, (6, 1, 64, 64, 3), dtype=np.uint8)
    policy.start([3])
    done = torch.from_numpy(np.stack([policy.act(frame) for frame in frames], axis=1))  # (1, 6, A)
    z, _ = toy_vision.encode(pixels(torch.from_numpy(frames[:, 0])))
    remembered = toy_memory.sequence(z[None, :5], done[:, :5])[0]  # (5, N)
    assert_allclose(senses.memory.h[0], remembered[-1], rtol=1e-4, atol=1e-5)
    seen = torch.cat([z[1:], remembered], dim=1)  # (5, F)
    wanted = torch.tanh(seen @ parameters[:20] + parameters[20])
    assert float((wanted - done[0, 1:, 0]).abs().max()) > 0.1, "there was noise"


@pytest.mark.parametrize(
    "wrong", [{"sigma": -0.1}, {"correlation": 1.0}, {"correlation": -0.1}, {"share": 1.1}, {"share": -0.1}]
)
def test_nonsense_is_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="noise needs sigma >= 0, correlation in"):
        ActionNoise(**wrong)


def test_an_episode_goes_on_as_it_would_have_when_others_are_left_out(
    senses: Senses, parameters: torch.Tensor
):
    def play_on(kept: list[int]) -> np.ndarray:
        """The last 5 of 10 actions of episodes `kept`."""
        noise = ActionNoise(share=0.5)
        policy = ControllerPolicy(senses, CONFIG, parameters, SPEC.action_low, SPEC.action_high, noise)
        seen = np.random.default_rng(0).integers(0, 256, (10, 4, 64, 64, 3), np.uint8)
        policy.start([3, 4, 5, 6])
        for frames in seen[:5]:
            policy.act(frames)
        policy.keep(np.array(kept))
        return np.stack([policy.act(frames[kept]) for frames in seen[5:]])

    whole = play_on([0, 1, 2, 3])
    assert np.ptp(whole[:, :, 0], axis=0).min() > 1e-3, "each of them does something"
    assert_allclose(play_on([3, 1]), whole[:, [3, 1]], atol=1e-5)
