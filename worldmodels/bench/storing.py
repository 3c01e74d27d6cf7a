"""Frames a second to and from the disk: episodes as they are collected, batches as V's training takes them.

Writing compresses and waits for the disk, in the folder for temporary files. Reading is from the system's cache, where
files lie that have just been written; checksums are compared. Pictures decide how well they compress: they are those
of the actual game, driven at random, and a drawing of it where it cannot be played.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from worldmodels.bench.measurement import Budget, Measurement, Timing, timed
from worldmodels.envs.game import FRAME_SIZE, game
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.exploration import RandomWalk
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.vision.frames import FrameBatches

EPISODES = 4
LENGTH = 1000  # actions of an episode
PLAYED = 150  # of them in the actual game, back and forth: deflate looks back for less than three frames
BATCH = 100  # frames of V's, as in the paper


def measure_store(budget: Budget, on_done: Callable[[str], None]) -> list[Measurement]:
    """Frames a second written and read. The files are in a folder for temporary files, which goes."""
    played, note = actual_frames()
    with tempfile.TemporaryDirectory(prefix="worldmodels-bench-") as folder:
        store = EpisodeStore(Path(folder))
        episodes = [episode_of(frames) for frames in played]
        written = _rate("store_write", LENGTH + 1, write_timing(store, episodes, budget), note)
        on_done("store_write")
        for index, episode in enumerate(episodes):
            store.write(index, episode)
        frames, timing = read_timing(store, budget)
        on_done("store_read")
    return [written, _rate("store_read", frames, timing, note)]


def write_timing(store: EpisodeStore, episodes: list[Episode], budget: Budget) -> Timing:
    """Seconds of storing one episode, these in turn."""
    turn = 0

    def write() -> None:
        nonlocal turn
        store.write(turn % len(episodes), episodes[turn % len(episodes)])
        turn += 1

    return timed(write, budget)


def read_timing(store: EpisodeStore, budget: Budget) -> tuple[int, Timing]:
    """Frames of one epoch of V's batches, and its seconds; one episode is in memory at a time."""
    batches = FrameBatches([store], BATCH, seed=0, resident=LENGTH + 1)
    steps = len(store) * ((LENGTH + 1) // BATCH)
    epoch = 0

    def read() -> None:
        nonlocal epoch
        for step in range(steps):
            batches.batch(epoch * steps + step)
        epoch += 1

    return steps * BATCH, timed(read, budget)


def _rate(name: str, frames: int, timing: Timing, note: str) -> Measurement:
    low, high = frames / timing.high, frames / timing.low
    return Measurement(name, "frames", frames / timing.median, low, high, note=note)


def actual_frames() -> tuple[list[np.ndarray], str]:
    """The beginnings of EPISODES episodes of CarRacing, (PLAYED + 1, 64, 64, 3) uint8 each, and a note on them."""
    spec = game("car-racing")
    try:
        with open_pool(spec) as pool:
            episodes = play(pool, RandomWalk(spec), range(EPISODES), PLAYED, 1)
    except UserError:
        return [
            drawn_frames(seed, PLAYED + 1) for seed in range(EPISODES)
        ], "frames of a drawing, not of the game"
    return [episode.frames for episode in episodes], ""


def drawn_frames(seed: int, count: int) -> np.ndarray:
    """A car on a winding road through grass, for where nobody can play: (count, 64, 64, 3) uint8.

    A stored frame of it is about as large as one of the game.
    """
    rng = np.random.default_rng(seed)
    bend, phase = rng.uniform(0.02, 0.06), rng.uniform(0, 2 * np.pi)
    rows, columns = np.mgrid[:FRAME_SIZE, :FRAME_SIZE]
    frames = np.empty((count, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
    for tick in range(count):
        along = rows - 1.5 * tick
        across = columns + 0.4 * along
        middle = FRAME_SIZE / 2 + 14 * np.sin(bend * along + phase) * (FRAME_SIZE - rows) / FRAME_SIZE
        away = np.abs(columns - middle)
        patch = (((along - 0.4 * columns) // 7 + across // 9) % 2)[..., None]
        road = np.clip(8 - away, 0, 1)[..., None]  # its edge is smoothed over a pixel, as resizing does
        grass = np.array([102, 204, 102]) + patch * np.array([0, 26, 0])
        frames[tick] = road * 105 + (1 - road) * grass
        frames[tick, 46:54, 30:34] = (204, 0, 0)
    return frames


def episode_of(frames: np.ndarray) -> Episode:
    """An episode of LENGTH actions whose frames are these, (n, 64, 64, 3) uint8, back and forth."""
    there_and_back = np.concatenate([np.arange(len(frames)), np.arange(len(frames) - 2, 0, -1)])
    rng = np.random.default_rng(0)
    return Episode(
        frames=frames[np.resize(there_and_back, LENGTH + 1)],
        actions=rng.uniform(0, 1, (LENGTH, 3)).astype(np.float32),
        rewards=np.full(LENGTH, -0.1, np.float32),
        terminated=False,
        policy="bench",
        seed=0,
        action_repeat=1,
        game_steps=LENGTH,
    )
