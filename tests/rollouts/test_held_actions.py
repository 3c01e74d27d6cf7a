"""The paper's random policy for Take Cover: uniform, held for 1 to 10 ticks, and each episode's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodels.envs.game import ACTION_BOUNDS, GameSpec, game
from worldmodels.rollouts.held_actions import HeldActions, Strafing, VariedHolds

TAKE_COVER = game("take-cover")


def actions(policy: HeldActions, seeds: list[int], ticks: int, shade: int = 0) -> np.ndarray:
    """(T, B, A), in games whose frames are all of one grey."""
    policy.start(seeds)
    seen = np.full((len(seeds), 64, 64, 3), shade, np.uint8)
    return np.stack([policy.act(seen) for _ in range(ticks)])


def lengths(one: np.ndarray) -> np.ndarray:
    """For how many ticks each action of an episode (T,) was held, without the last, which the end cut short."""
    return np.diff(np.flatnonzero(np.diff(one, prepend=np.inf) != 0))


def test_an_action_is_held_for_one_to_ten_ticks_each_as_often():
    held = np.concatenate(
        [lengths(one) for one in actions(HeldActions(TAKE_COVER), [*range(20)], 2000)[..., 0].T]
    )
    assert (held.min(), held.max()) == (1, 10)
    shares = np.bincount(held, minlength=11)[1:] / len(held)
    np.testing.assert_allclose(shares, 0.1, atol=5 * np.sqrt(0.1 * 0.9 / len(held)))  # five standard errors


def test_actions_are_uniform_so_that_each_third_is_taken_a_third_of_the_time():
    policy = HeldActions(TAKE_COVER, longest=1)
    drawn = actions(policy, [*range(20)], 1000).reshape(-1, 1)
    error = 5 / np.sqrt(len(drawn))
    assert abs(drawn.mean()) < error / np.sqrt(3)  # the standard deviation of a uniform number in [-1, 1]
    assert drawn.min() >= -1
    assert drawn.max() <= 1
    taken = TAKE_COVER.game_actions(drawn)
    np.testing.assert_allclose(np.bincount(taken) / len(taken), 1 / 3, atol=error * np.sqrt(2) / 3)


@settings(max_examples=30)
@given(
    kinds=st.lists(st.sampled_from(list(ACTION_BOUNDS)), min_size=1, max_size=3),
    longest=st.integers(1, 12),
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4),
)
def test_an_episode_is_a_function_of_its_seed_alone(kinds: list[str], longest: int, seeds: list[int]):
    """Neither of the frames nor of the episodes beside it nor of those before."""
    spec = GameSpec("any", None, tuple(kinds), (96, 96, 3), 84, 1000)
    policy = HeldActions(spec, longest)
    together = actions(policy, seeds, 30)
    assert together.shape == (30, len(seeds), len(kinds))
    assert together.dtype == np.float32
    assert (together >= spec.action_low).all()
    assert (together <= spec.action_high).all()
    for row, seed in enumerate(seeds):
        np.testing.assert_array_equal(actions(policy, [seed], 30, shade=200)[:, 0], together[:, row])
    assert len(set(seeds)) == len(np.unique(together[0], axis=0)), "other seeds, other actions"


def test_what_was_given_may_be_written_to():
    policy = HeldActions(TAKE_COVER, longest=10)
    expected = actions(policy, [1], 20)
    policy.start([1])
    for tick in range(20):
        given_out = policy.act(np.zeros((1, 64, 64, 3), np.uint8))
        np.testing.assert_array_equal(given_out, expected[tick])
        given_out[:] = 9


def test_an_action_is_held_for_at_least_one_tick():
    with pytest.raises(ValueError, match="longest must be at least 1, got 0"):
        HeldActions(TAKE_COVER, longest=0)


def test_varied_holds_have_a_longest_of_their_own_in_each_episode():
    policy = VariedHolds(TAKE_COVER, slowest=64)
    longest = [max(lengths(one)) for one in actions(policy, [*range(300)], 1500)[..., 0].T]
    assert min(longest) == 2
    assert max(longest) <= 64
    # Log-evenly from 2 to 64: a fifth of the episodes in each doubling, and a long series nearly reaches its longest.
    shares = np.histogram(np.log2(longest), bins=[0.9, 2, 3, 4, 5, 6.1])[0] / 300
    np.testing.assert_allclose(shares, 0.2, atol=0.1)


def test_a_varied_episode_is_its_seeds_alone():
    policy = VariedHolds(TAKE_COVER)
    together = actions(policy, [1, 2, 3], 300)
    alone = actions(VariedHolds(TAKE_COVER), [2], 300, shade=9)
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])


def test_who_strafes_runs_from_side_to_side_at_a_pace_of_its_own():
    policy = Strafing(TAKE_COVER, most_dithering=0.0)
    paces = []
    for episode in actions(policy, [*range(200)], 3000)[..., 0].T:
        assert (abs(episode) >= 1 / 3).all()
        to_the_right = episode > 0
        turns = np.flatnonzero(to_the_right[1:] != to_the_right[:-1]) + 1
        holds = np.diff(turns)
        assert max(holds) / min(holds) <= 1.3 / 0.7 + 0.1
        paces.append(holds.mean())
    assert 27 <= min(paces) < 40
    assert 110 < max(paces) < 165
    assert np.median(paces) == pytest.approx((30 * 150) ** 0.5, rel=0.2)


def test_who_strafes_dithers_up_to_half_of_what_it_does():
    shares = []
    for episode in actions(Strafing(TAKE_COVER), [*range(200)], 3000)[..., 0].T:
        holds = lengths(episode)
        shares.append(np.mean([hold <= 20 for hold in holds]))
    assert min(shares) < 0.05
    assert 0.4 < max(shares) < 0.75


def test_a_strafing_episode_is_its_seeds_alone():
    policy = Strafing(TAKE_COVER)
    together = actions(policy, [1, 2, 3], 300)
    alone = actions(Strafing(TAKE_COVER), [2], 300, shade=9)
    np.testing.assert_array_equal(together[:, 1], alone[:, 0])
    policy.start([1, 2, 3])
    policy.act(np.zeros((3, 64, 64, 3), np.uint8))
    policy.keep(np.array([2, 0]))
    for tick in range(1, 300):
        np.testing.assert_array_equal(policy.act(np.zeros((2, 64, 64, 3), np.uint8)), together[tick, [2, 0]])


def test_nobody_dithers_for_more_than_all_of_the_time():
    with pytest.raises(ValueError, match=r"most_dithering must lie in \[0, 1\], got 1.5"):
        Strafing(TAKE_COVER, most_dithering=1.5)


def test_varied_holds_need_room_to_vary():
    with pytest.raises(ValueError, match="slowest must be at least 2"):
        VariedHolds(TAKE_COVER, slowest=1)
