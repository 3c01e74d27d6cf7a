"""EnvPool's CarRacing is Gymnasium's CarRacing, but for how it draws random numbers and pixels.

A seed means different tracks in the two, because EnvPool draws with C++'s std::mt19937 and Gymnasium with
numpy's PCG64. Given EnvPool's random numbers, Gymnasium builds the same track, and then both can be compared
step by step.

Measured with envpool 1.1.1 and gymnasium 1.4.0 on 6 tracks, each driven to its end with the same actions
(5,852 steps): the running sums of rewards stay within 0.5 for the first 347 steps at least, and returns of
557 to 915 differ by 0 to 9 points. As 64x64 frames, half of all numbers differ by 2 at most (EnvPool's flat
colours are 2/255 brighter), 95 % by no more than 4, and the rest, at edges, which EnvPool does not antialias,
by up to 98. The test allows about twice as much.
"""

import warnings
from typing import Any

import numpy as np
import pytest

from worldmodels.envs.game import game

SPEC = game("car-racing")
STEPS = 150


class EnvPoolsRandomNumbers:
    """Draws what EnvPool draws: libstdc++'s uniform_real_distribution<double> over std::mt19937."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.MT19937()
        self._bits._legacy_seeding(seed)

    def uniform(self, low: float, high: float) -> float:
        first, second = (int(bits) for bits in self._bits.random_raw(2))
        return low + (high - low) * (first + second * 2.0**32) / 2.0**64


def actions(seed: int) -> np.ndarray:
    """Off and away, then weaving over road and grass: (STEPS, 3)."""
    time = np.arange(STEPS)
    steering = 0.3 * np.sin(time / (6 + seed))
    return np.stack([steering, np.where(time < 100, 0.3, 0.0), np.where(time < 100, 0, 0.2)], 1).astype(
        np.float32
    )


def drive_gymnasium(seed: int) -> tuple[np.ndarray, np.ndarray]:
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's, about its own action space
        car: Any = gymnasium.make("CarRacing-v3", disable_env_checker=True, lap_complete_percent=0.95)
    car.unwrapped._np_random = EnvPoolsRandomNumbers(seed)
    frames, rewards = [car.reset()[0]], []
    for action in actions(seed):
        frame, reward, *_ = car.step(action)
        frames.append(frame)
        rewards.append(float(reward))
    car.close()
    return np.stack(frames), np.array(rewards)


def drive_envpool(seed: int) -> tuple[np.ndarray, np.ndarray]:
    from worldmodels.envs.envpool_pool import EnvPoolGames

    games = EnvPoolGames(SPEC, workers=1)
    frames, rewards = [games.start([seed])[0]], []
    for action in actions(seed):
        turn = games.play(np.array([0]), action[None], repeats=1)
        frames.append(turn.frames[0])
        rewards.append(turn.rewards[0])
    games.close()
    return np.stack(frames), np.array(rewards)


@pytest.mark.parametrize("seed", [0, 3])
def test_the_same_track_and_actions_give_the_same_rewards_and_nearly_the_same_frames(
    seed: int, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("envpool")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    reference, reference_rewards = drive_gymnasium(seed)
    frames, rewards = drive_envpool(seed)
    np.testing.assert_allclose(np.cumsum(rewards), np.cumsum(reference_rewards), atol=0.02)
    assert len(set(rewards.round(2))) > 1, "no tile was visited"
    expected = SPEC.observe(reference).astype(int)
    difference = np.abs(frames.astype(int) - expected)  # (STEPS + 1, 64, 64, 3)
    assert difference.mean(axis=(1, 2, 3)).max() < 4
    assert np.percentile(difference, 50) <= 3
    assert np.percentile(difference, 95) <= 8
    # Another track differs from this one by far more than the two painters do.
    other, _ = drive_envpool(seed + 1)
    assert np.abs(other.astype(int) - expected).mean() > 1.5 * difference.mean()
