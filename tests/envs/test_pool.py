"""Every game with every backend behaves as GamePool promises."""

import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from worldmodels.envs.game import GameSpec, game
from worldmodels.envs.gymnasium_games import GymnasiumGames
from worldmodels.envs.pool import SEED_RANGE, EpisodePool, PoolStep, open_pool
from worldmodels.errors import UserError

Opened = tuple[GameSpec, str]


@pytest.fixture(params=["toy auto", "car-racing envpool", "car-racing gymnasium", "car-racing sketch"])
def played(request: pytest.FixtureRequest) -> Opened:
    name, backend = request.param.split()
    if backend == "envpool":
        pytest.importorskip("envpool")
    return game(name), backend


def some_actions(spec: GameSpec, seed: int, steps: int) -> np.ndarray:
    """The actions (steps, A) of the episode of that seed, whatever is played beside it."""
    random = np.random.default_rng(seed)
    return random.uniform(spec.action_low, spec.action_high, (steps, spec.action_size)).astype(np.float32)


def play(pool: EpisodePool, seeds: Sequence[int], steps: int) -> tuple[np.ndarray, list[PoolStep]]:
    frames = pool.reset(seeds)
    actions = np.stack([some_actions(pool.spec, seed, steps) for seed in seeds], axis=1)  # (steps, B, A)
    return frames, [pool.step(action) for action in actions]


def test_shapes_and_types(played: Opened):
    spec, backend = played
    with open_pool(spec, backend) as pool:
        for count in (3, 1, 2):
            frames = pool.reset(range(count))
            assert (frames.shape, frames.dtype) == ((count, 64, 64, 3), np.uint8)
            assert pool.steps_taken.tolist() == [0] * count
            turn = pool.step(np.tile((spec.action_low + spec.action_high) / 2, (count, 1)))
            assert (turn.frames.shape, turn.frames.dtype) == ((count, 64, 64, 3), np.uint8)
            assert (turn.rewards.shape, turn.rewards.dtype) == ((count,), np.float32)
            assert (turn.terminated.shape, turn.terminated.dtype) == ((count,), bool)
            assert (turn.truncated.shape, turn.truncated.dtype) == ((count,), bool)
            assert pool.steps_taken.tolist() == [1] * count
            assert not np.shares_memory(frames, turn.frames)


def test_an_episode_is_a_function_of_its_seed_and_actions(played: Opened):
    """Not of its place, its neighbours, the number of workers, nor of what the pool played before."""
    spec, backend = played
    with open_pool(spec, backend, action_repeat=2, workers=2) as pool:
        together = play(pool, [11, 12, 13], steps=6)
        again = play(pool, [13, 11], steps=6)
    with open_pool(spec, backend, action_repeat=2, workers=1) as pool:
        alone = play(pool, [13], steps=6)
    for (frames, turns), row in ((again, 0), (alone, 0)):
        np.testing.assert_array_equal(frames[row], together[0][2])
        for turn, expected in zip(turns, together[1], strict=True):
            np.testing.assert_array_equal(turn.frames[row], expected.frames[2])
            assert turn.rewards[row] == expected.rewards[2]
    assert np.any(together[0][0] != together[0][1]), "two seeds must give two episodes"


def test_seeds_of_63_bits_are_taken_and_told_apart(played: Opened):
    spec, backend = played
    with open_pool(spec, backend) as pool:
        frames = pool.reset([2**62 + 1, 2**62 + 2, (2**62 + 1) % SEED_RANGE])
    assert np.any(frames[0] != frames[1])
    np.testing.assert_array_equal(frames[0], frames[2])


def test_a_repeated_action_is_held_and_its_rewards_are_summed(played: Opened):
    spec, backend = replace(played[0], max_steps=10), played[1]
    actions = np.stack([some_actions(spec, seed, 3) for seed in (5, 6)], axis=1)  # (3, B, A)
    with open_pool(spec, backend, action_repeat=4) as pool:
        pool.reset([5, 6])
        repeated = [pool.step(action) for action in actions]
        assert pool.steps_taken.tolist() == [10, 10]  # the last action is cut short by the end
    with open_pool(spec, backend) as pool:
        pool.reset([5, 6])
        single = [pool.step(actions[step // 4]) for step in range(10)]
    for position, (turn, last) in enumerate(zip(repeated, (3, 7, 9), strict=True)):
        np.testing.assert_array_equal(turn.frames, single[last].frames)
        rewards = np.sum([step.rewards for step in single[4 * position : last + 1]], axis=0)
        np.testing.assert_allclose(turn.rewards, rewards, rtol=1e-5, atol=1e-5)
    assert repeated[-1].truncated.tolist() == [True, True]
    assert repeated[-1].terminated.tolist() == [False, False]


def test_an_episode_is_frozen_after_its_end(played: Opened):
    spec, backend = replace(played[0], max_steps=4), played[1]
    with open_pool(spec, backend, action_repeat=3) as pool:
        _, turns = play(pool, [1, 2], steps=4)
        assert pool.steps_taken.tolist() == [4, 4]
        end = turns[1]
        assert not turns[0].truncated.any()
        assert end.truncated.all()
        for turn in turns[2:]:
            np.testing.assert_array_equal(turn.frames, end.frames)
            np.testing.assert_array_equal(turn.truncated, end.truncated)
            np.testing.assert_array_equal(turn.terminated, end.terminated)
            assert turn.rewards.tolist() == [0, 0]
        pool.reset([1, 2])  # and a new one starts afresh
        assert not pool.step(some_actions(spec, 0, 2)).truncated.any()


def test_toy_games_that_end_at_different_times_do_not_disturb_each_other():
    with open_pool(game("toy")) as pool:
        _, together = play(pool, range(16), steps=40)
        steps = pool.steps_taken
        assert len(set(steps.tolist())) > 2
        for seed in range(16):
            _, alone = play(pool, [seed], steps=40)
            assert pool.steps_taken[0] == steps[seed]
            for turn, other in zip(alone, together, strict=True):
                assert turn.rewards[0] == other.rewards[seed]
                assert turn.terminated[0] == other.terminated[seed]


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_leaving_the_field_terminates_an_episode_of_car_racing(backend: str):
    if backend == "envpool":
        pytest.importorskip("envpool")
    spec = game("car-racing")
    straight_on = np.array([[0, 0.5, 0]], np.float32)
    with open_pool(spec, backend, action_repeat=8) as pool:
        pool.reset([6])
        turns = [pool.step(straight_on)]
        while not turns[-1].terminated[0]:
            turns.append(pool.step(straight_on))
            assert not turns[-1].truncated[0]
        taken = int(pool.steps_taken[0])
    assert 100 < taken < 400
    assert -101.5 < turns[-1].rewards[0] < -99.5  # -100 for leaving, besides at most 8 steps of -0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([[0.0, 0.0]], r"shape \(2, 3\), got \(1, 2\)"),
        ([[0, 0, 0], [0, -0.1, 0]], r"between \[-1.0, 0.0, 0.0\] and \[1.0, 1.0, 1.0\], got \[0.0, -0.1"),
        ([[0, 0, 0], [float("nan"), 0, 0]], "got .nan"),
    ],
)
def test_actions_that_the_game_cannot_take_are_refused(wrong: list, message: str):
    with open_pool(game("car-racing")) as pool:
        pool.reset([1, 2])
        with pytest.raises(ValueError, match=message):
            pool.step(np.array(wrong, np.float32))


def test_a_pool_is_used_in_order(played: Opened):
    spec, backend = played
    actions = some_actions(spec, 0, 1)
    pool = open_pool(spec, backend)
    with pytest.raises(RuntimeError, match="before reset"):
        pool.step(actions)
    for seeds in ([], [-1]):
        with pytest.raises(ValueError, match="one seed >= 0"):
            pool.reset(seeds)
    pool.reset([1])
    pool.close()
    pool.close()
    for call in (lambda: pool.reset([1]), lambda: pool.step(actions)):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_what_cannot_be_opened_is_answered_with_what_to_type():
    with pytest.raises(UserError, match="no backend 'gym'; type --backend followed by one of auto, envpool"):
        open_pool(game("car-racing"), "gym")
    with pytest.raises(UserError, match="leave out --backend envpool"):
        open_pool(game("toy"), "envpool")
    with pytest.raises(UserError, match="at least 1, got 0"):
        open_pool(game("toy"), workers=0)
    with pytest.raises(ValueError, match="action_repeat must be at least 1, got 0"):
        open_pool(game("toy"), action_repeat=0)


def test_a_game_that_envpool_does_not_have():
    pytest.importorskip("envpool")
    with pytest.raises(UserError, match=r"EnvPool does not have NoSuchGame-v0\. Type --backend gymnasium"):
        open_pool(replace(game("car-racing"), gym_id="NoSuchGame-v0"), "envpool")


def test_without_envpool_auto_means_gymnasium(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "envpool", None)  # as if it had no wheel for this machine
    with open_pool(game("car-racing")) as pool:
        assert isinstance(pool._games, GymnasiumGames)
    with pytest.raises(UserError, match=r"EnvPool cannot be imported .* Type --backend gymnasium"):
        open_pool(game("car-racing"), "envpool")


def test_an_episode_that_is_stopped_is_truncated_and_frozen(played: Opened):
    spec, backend = played
    with open_pool(spec, backend) as pool:
        _, (before, *_) = play(pool, [1, 2], steps=2)
        pool.stop(np.array([False, True]))
        after = pool.step(np.tile(some_actions(spec, 1, 1), (2, 1)))
        assert after.truncated.tolist() == [False, True]
        assert not after.terminated.any()
        assert pool.steps_taken.tolist() == [3, 2]
        assert after.rewards[1] == 0
        assert not before.truncated.any()
