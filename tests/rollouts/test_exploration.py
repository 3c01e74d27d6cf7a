"""The random policies: valid, varied, and each episode's own."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodels.envs.game import ACTION_BOUNDS, GameSpec
from worldmodels.rollouts.exploration import (
    Policy,
    RandomNetworks,
    RandomNetworksConfig,
    RandomWalk,
    RandomWalkConfig,
    grey_8x8,
    squash,
)
from worldmodels.rollouts.held_actions import HeldActions, VariedHolds
from worldmodels.rollouts.random_actions import RandomActions

CAR = GameSpec("car", None, ("symmetric", "unit", "positive"), (96, 96, 3), 84, 1000)
POLICIES = pytest.mark.parametrize("policy", [RandomNetworks, RandomWalk])


def frames(seed: int, games: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (games, 64, 64, 3), np.uint8)


def actions(policy: Policy, seeds: list[int], seen: list[np.ndarray]) -> np.ndarray:
    """(T, B, A)."""
    policy.start(seeds)
    return np.stack([policy.act(f) for f in seen])


@POLICIES
@settings(max_examples=20, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(list(ACTION_BOUNDS)), min_size=1, max_size=4),
    seed=st.integers(0, 2**63 - 1),
)
def test_actions_are_those_of_the_game(policy: Callable[[GameSpec], Policy], kinds: list[str], seed: int):
    spec = GameSpec("any", None, tuple(kinds), (96, 96, 3), 84, 1000)
    taken = actions(policy(spec), [seed, seed + 1], [frames(i, 2) for i in range(10)])
    assert taken.shape == (10, 2, len(kinds))
    assert taken.dtype == np.float32
    assert (taken >= spec.action_low).all()
    assert (taken <= spec.action_high).all()


@POLICIES
def test_an_episode_does_not_depend_on_its_neighbours(policy: Callable[[GameSpec], Policy]):
    seen = [frames(i, 5) for i in range(20)]
    together = actions(policy(CAR), [3, 1, 4, 1, 5], seen)
    alone = actions(policy(CAR), [4], [f[2:3] for f in seen])
    assert np.array_equal(alone[:, 0], together[:, 2])


@POLICIES
def test_the_same_seeds_act_the_same_and_others_do_not(policy: Callable[[GameSpec], Policy]):
    seen = [frames(i, 2) for i in range(10)]
    one = policy(CAR)
    first = actions(one, [1, 2], seen)
    assert np.array_equal(actions(one, [1, 2], seen), first), "a second start must begin afresh"
    assert not np.array_equal(first[:, 0], first[:, 1])


@POLICIES
def test_actions_vary_within_and_between_episodes(policy: Callable[[GameSpec], Policy]):
    seen = [np.full((32, 64, 64, 3), 128, np.uint8)] * 100  # even when nothing moves
    taken = actions(policy(CAR), list(range(32)), seen)  # (T, B, A)
    assert (taken.std(axis=0)[:, :2].mean(axis=0) > 0.05).all()
    assert taken[..., 0].min() < -0.9
    assert taken[..., 0].max() > 0.9
    assert abs(taken[..., 0].mean()) < 0.15, "neither side is preferred"


def test_a_random_network_sees_the_frame():
    policy = RandomNetworks(CAR, RandomNetworksConfig(noise=0.0))
    a = actions(policy, [1], [frames(1, 1)] * 3)
    b = actions(policy, [1], [frames(2, 1)] * 3)
    assert not np.array_equal(a, b)


def test_the_walk_has_the_wander_that_was_asked_for():
    config = RandomWalkConfig(symmetric=(0.1, 0.1), sigma=(0.2, 0.2), correlation=(0.7, 0.7))
    spec = GameSpec("any", None, ("symmetric",), (96, 96, 3), 84, 1000)
    policy = RandomWalk(spec, config)
    x = np.arctanh(actions(policy, list(range(64)), [np.zeros((64, 64, 64, 3), np.uint8)] * 200)[..., 0])
    x = x.astype(np.float64)  # (T, B)
    assert x.mean() == pytest.approx(0.1, abs=0.02)
    assert x.std() == pytest.approx(0.2, rel=0.05)
    assert x[0].std() == pytest.approx(0.2, rel=0.3), "from the first action on"
    assert np.corrcoef(x[:-1].ravel(), x[1:].ravel())[0, 1] == pytest.approx(0.7, abs=0.03)


def test_squash_is_the_papers():
    x = np.array([[0.5, 0.5, 0.5], [-0.5, -0.5, -0.5], [50.0, 50.0, 50.0]])
    t = np.tanh(0.5)
    expected = [[t, (t + 1) / 2, t], [-t, (1 - t) / 2, 0], [1, 1, 1]]
    np.testing.assert_allclose(squash(x, ("symmetric", "unit", "positive")), expected, rtol=1e-6)


def test_grey_is_the_mean_of_each_block():
    some = frames(0, 3)
    expected = [
        some[1, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8].mean() / 255 - 0.5 for r in range(8) for c in range(8)
    ]
    np.testing.assert_allclose(grey_8x8(some)[1], expected, atol=1e-6)


@pytest.mark.parametrize(
    "nonsense", [{"correlation": (0.5, 1.0)}, {"correlation": (-0.1, 0.5)}, {"sigma": (-1.0, 1.0)}]
)
def test_a_walk_that_cannot_be_is_refused(nonsense: dict[str, tuple[float, float]]):
    with pytest.raises(ValueError, match="correlation must lie in"):
        RandomWalkConfig(**nonsense)


def test_scales_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"got 2.0\.\.1.0"):
        RandomNetworksConfig(smallest=2.0, largest=1.0)


@pytest.mark.parametrize("policy", [RandomNetworks, RandomWalk, HeldActions, VariedHolds, RandomActions])
def test_an_episode_goes_on_as_it_would_have_when_others_are_left_out(policy: Callable[[GameSpec], Policy]):
    seen = [frames(i, 4) for i in range(30)]
    whole = actions(policy(CAR), [3, 4, 5, 6], seen)
    fewer = policy(CAR)
    begun = actions(fewer, [3, 4, 5, 6], seen[:10])
    fewer.keep(np.array([1, 3]))
    then = np.stack([fewer.act(f[[1, 3]]) for f in seen[10:]])
    np.testing.assert_array_equal(begun, whole[:10])
    np.testing.assert_array_equal(then, whole[10:, [1, 3]])
