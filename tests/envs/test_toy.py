"""The toy game can be told apart from noise: its rewards follow the actions, its frames the state."""

import numpy as np

from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.envs.toy import BALL_ROWS, PADDLE_ROWS

SEEDS = range(32)


def centre(frames: np.ndarray, rows: slice) -> np.ndarray:
    """Where the bright thing in these rows is: frames (B, 64, 64, 3) -> (B,) columns."""
    bright = frames[:, rows].max(axis=(1, 3)) > 100  # (B, 64)
    return (bright * np.arange(64)).sum(1) / bright.sum(1)


def follow(frames: np.ndarray) -> np.ndarray:
    return np.clip((centre(frames, BALL_ROWS) - centre(frames, PADDLE_ROWS)) / 4, -1, 1)[:, None]


def returns(policy, frames_of=lambda frames: frames) -> tuple[np.ndarray, np.ndarray]:
    with open_pool(game("toy")) as pool:
        frames = pool.reset(SEEDS)
        turn = pool.step(policy(frames_of(frames)))
        total = turn.rewards.astype(np.float64)
        for _ in range(39):
            turn = pool.step(policy(frames_of(turn.frames)))
            total += turn.rewards
        assert np.all(turn.terminated | turn.truncated)
        assert not np.any(turn.terminated & turn.truncated)
        return total, turn.terminated


def test_following_the_ball_with_ones_eyes_is_nearly_perfect():
    total, lost = returns(follow)
    assert total.mean() > 34  # of 40
    assert not lost.any()


def test_acting_at_random_is_poor_and_mostly_loses_the_ball():
    random = np.random.default_rng(0)
    total, lost = returns(lambda frames: random.uniform(-1, 1, (len(frames), 1)))
    assert total.mean() < 24
    assert 0.2 < lost.mean() < 0.9  # both ways to end occur


def test_the_mirrored_player_does_as_well_in_the_mirror():
    signs = game("toy").mirror_signs
    assert signs is not None
    total, _ = returns(lambda frames: follow(frames) * signs, frames_of=lambda frames: frames[:, :, ::-1])
    np.testing.assert_allclose(total, returns(follow)[0], atol=1e-4)
