"""The dream as a Gymnasium environment: Gymnasium's own checkers, seeds, ends and pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import worldmodels
from worldmodels.envs.game import game


@pytest.fixture
def actions() -> np.ndarray:
    """(T, N, A) of the toy."""
    spec = game("toy")
    rng = np.random.default_rng(0)
    return rng.uniform(spec.action_low, spec.action_high, (30, 5, spec.action_size)).astype(np.float32)


@pytest.mark.parametrize("observation", ["features", "frames"])
def test_gymnasiums_checker_passes(toy_run: Path, observation: str):
    env = gymnasium.make("worldmodels/Dream-v0", run=toy_run, observation=observation)
    with warnings.catch_warnings():
        # Latents have no bounds, and the toy's second action goes from 0 to 1: the checker frowns at both.
        warnings.filterwarnings("ignore", message=".*A Box observation space m.*infinity")
        warnings.filterwarnings("ignore", message=".*we recommend using a symmetric and normalized space")
        check_env(env.unwrapped)
    env.close()


def test_a_vector_of_dreams_is_what_gymnasium_expects(toy_run: Path, actions: np.ndarray):
    dreams = gymnasium.make_vec(
        "worldmodels/Dream-v0", num_envs=5, vectorization_mode="vector_entry_point", run=toy_run
    )
    assert dreams.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observation, info = dreams.reset(seed=0)
    assert dreams.observation_space.contains(observation)
    assert info == {}
    for action in actions:
        assert dreams.action_space.contains(action)
        observation, rewards, terminated, truncated, _ = dreams.step(action)
        assert dreams.observation_space.contains(observation)
        assert rewards.shape == terminated.shape == truncated.shape == (5,)
        assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, bool, bool)
    dreams.close()


def test_the_same_seed_is_the_same_dream_alone_and_among_others(toy_run: Path, actions: np.ndarray):
    together = worldmodels.make_dream(toy_run, num_envs=5, horizon=7)
    alone = worldmodels.make_dream(toy_run, num_envs=1, horizon=7)
    one = gymnasium.make("worldmodels/Dream-v0", run=toy_run, horizon=7)
    first = together.reset(seed=10)[0]
    np.testing.assert_allclose(alone.reset(seed=13)[0][0], first[3], atol=1e-6)
    np.testing.assert_allclose(one.reset(seed=13)[0], first[3], atol=1e-6)
    for number, action in enumerate(actions):
        observations, rewards, terminated, truncated, _ = together.step(action)
        observation, reward, ended, cut, _ = alone.step(action[3:4])
        np.testing.assert_allclose(observation[0], observations[3], atol=1e-4)
        np.testing.assert_allclose(reward[0], rewards[3], atol=1e-4)
        assert (ended[0], cut[0]) == (terminated[3], truncated[3])
        if number < 7 and not terminated[3]:
            np.testing.assert_allclose(one.step(action[3])[0], observations[3], atol=1e-4)


def test_a_dream_begins_anew_after_its_end_and_the_others_go_on(toy_run: Path, actions: np.ndarray):
    dreams = worldmodels.make_dream(toy_run, num_envs=5, horizon=4)
    dreams.reset(seed=0)
    ends, ticks = [], np.zeros(5, int)
    for action in actions:
        _, rewards, terminated, truncated, _ = dreams.step(action)
        begun = np.array(ends[-1]) if ends else np.zeros(5, bool)
        assert (rewards[begun] == 0).all()
        assert not (terminated & truncated).any()
        ticks = np.where(begun, 0, ticks + 1)
        np.testing.assert_array_equal(truncated, (ticks == 4) & ~terminated)
        ends.append(terminated | truncated)
    assert np.array(ends).any(axis=0).all()


def test_what_is_rendered_is_what_is_observed_as_frames(toy_run: Path, actions: np.ndarray):
    seen = worldmodels.make_dream(toy_run, num_envs=5, observation="frames", render_mode="rgb_array")
    seen.reset(seed=3)
    observation = seen.step(actions[0])[0]
    painted = seen.render()
    assert painted is not None
    np.testing.assert_array_equal(np.stack(painted), observation)
    assert observation.dtype == np.uint8
    assert observation.std() > 0


def test_the_temperature_changes_the_dream(toy_run: Path, actions: np.ndarray):
    calm, wild = (worldmodels.make_dream(toy_run, 5, temperature) for temperature in (0.1, 2.0))
    np.testing.assert_array_equal(calm.reset(seed=0)[0], wild.reset(seed=0)[0])
    assert not np.allclose(calm.step(actions[0])[0], wild.step(actions[0])[0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_envs": 0}, "num_envs must be at least 1"),
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"horizon": 0}, "horizon"),
        ({"observation": "pixels"}, "observation must be one of features, frames"),
    ],
)
def test_nonsense_gets_one_sentence(toy_run: Path, wrong: dict, message: str):
    with pytest.raises(worldmodels.UserError, match=message):
        worldmodels.make_dream(toy_run, **wrong)


def test_actions_that_are_no_actions_are_refused(toy_run: Path):
    dreams = worldmodels.make_dream(toy_run, num_envs=2)
    dreams.reset(seed=0)
    with pytest.raises(ValueError, match="actions must be finite"):
        dreams.step(np.full((2, 2), np.nan, np.float32))
