"""The game as PPO meets it, its frames counted to the step; without Stable-Baselines3."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from worldmodels.envs.car_racing import CAR_RACING
from worldmodels.envs.game import resized

Script = Callable[[str], Any]


@pytest.fixture
def car(script: Script) -> Any:
    return script("ppo_car")


def gymnasiums_game() -> Any:
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium's, about its own action space
        return gymnasium.make("CarRacing-v3", disable_env_checker=True)


def steering(tick: int) -> np.ndarray:
    return np.array([0.3 * np.sin(tick), 0.6, 0.0], np.float32)


def test_gray_is_what_others_call_gray(car: Any):
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    theirs = np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in frames])
    ours = car.gray(frames)
    assert (ours.dtype, ours.shape) == (np.uint8, (2, 64, 64))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    black_and_white = np.stack([np.zeros_like(frames[0]), np.full_like(frames[0], 255)])
    assert np.array_equal(car.gray(black_and_white), black_and_white[..., 0])


def test_no_track_is_both_learnt_and_scored_on(car: Any):
    learnt = {
        car.training_track(seed, number, begun, episode)
        for seed in (0, 1)
        for number in range(8)
        for begun in (0, 40)
        for episode in range(50)
    }
    scored = {car.scoring_track(seed, frames, i) for seed in (0, 1) for frames in (5, 10) for i in range(50)}
    assert len(learnt) == 1600, "each car, sitting and episode has a track of its own"
    assert len(scored) == 200
    assert not learnt & scored
    assert all(seed % 2 == 0 for seed in learnt), "whatever the seed, the two kinds cannot meet"
    assert all(seed % 2 == 1 for seed in scored)
    assert max(learnt | scored) < 2**31 - 1, "no backend takes it for another"


def test_a_held_car_is_gymnasiums_game(car: Any):
    """Rewards summed over the held steps, and the last frame as V sees it, in gray."""
    held, reference = car.HeldCar(seed=3, car=1, begun=0, hold=4), gymnasiums_game()
    first, _ = held.reset()
    expected = reference.reset(seed=car.training_track(3, 1, 0, 0))[0]
    assert np.array_equal(first, car.gray(resized(expected[None, :84])))
    for tick in range(12):
        seen, reward, terminated, truncated, info = held.step(steering(tick))
        steps = [reference.step(steering(tick)) for _ in range(4)]
        assert (first.shape, seen.dtype) == ((1, 64, 64), np.uint8)
        assert np.array_equal(seen, car.gray(resized(steps[-1][0][None, :84])))
        assert reward == pytest.approx(sum(float(step[1]) for step in steps))
        assert (terminated, truncated, info) == (False, False, {"steps": 4})
    held.close()


def test_where_an_episode_ends_within_a_hold_fewer_frames_are_counted(
    car: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(car, "CAR_RACING", replace(CAR_RACING, max_steps=6))
    held, played, earned = car.HeldCar(seed=0, car=0, begun=0, hold=4), car.Played(), 0.0
    firsts = []
    for _ in range(2):
        firsts.append(held.reset()[0])
        for steps, ended in ((4, False), (2, True)):
            _, reward, terminated, truncated, info = held.step(steering(0))
            earned += reward
            played.add([info])
            assert (terminated, truncated, info["steps"]) == (False, ended, steps)
    assert (played.decisions, played.frames) == (4, 12)
    assert sum(played.scores) == pytest.approx(earned)
    assert not np.array_equal(*firsts), "the second episode is on another track"
    held.close()


def test_frames_of_all_cars_are_counted(car: Any):
    played = car.Played()
    played.add([{"steps": 4}, {"steps": 4}, {"steps": 1, "score": -3.5}])
    played.add([{"steps": 2, "score": 7.0}, {"steps": 4}, {"steps": 4}])
    assert played == car.Played(decisions=2, frames=19, scores=[-3.5, 7.0])


def test_the_driver_sees_the_last_frames_of_each_episode(car: Any):
    seen: list[np.ndarray] = []

    def choose(stacked: np.ndarray) -> np.ndarray:
        seen.append(stacked.copy())
        return np.zeros((len(stacked), 3), np.float32)

    def frames(*brightness: int) -> np.ndarray:
        return np.stack([np.full((64, 64, 3), value, np.uint8) for value in brightness])

    driver = car.Driver(choose, 2)
    driver.start([5, 6, 7])
    driver.act(frames(10, 20, 30))
    driver.act(frames(11, 21, 31))
    driver.keep(np.array([2, 0]))
    assert driver.act(frames(32, 12)).shape == (2, 3)
    stacks = [stacked[:, :, 0, 0].tolist() for stacked in seen]
    assert stacks == [
        [[0, 10], [0, 20], [0, 30]],
        [[10, 11], [20, 21], [30, 31]],
        [[31, 32], [11, 12]],
    ]
    driver.start([8])
    driver.act(frames(50))
    assert seen[-1][:, :, 0, 0].tolist() == [[0, 50]], "nothing of the episodes before is left"
