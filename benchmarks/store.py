"""How fast and how large episodes are on disk: `python benchmarks/store.py --episodes 32`.

Plays a few CarRacing episodes with the two random policies (half the episodes each), then prints

1. bytes per frame, frames written and read per second, for compression levels of the store's format;
2. seconds, frames per second and peak memory of a process that writes, or reads, N, 2N and 4N episodes one
   after another: the memory must not grow with the number of episodes;
3. the time to list the lengths of 4N episodes without reading their frames.

Writing includes the sync to disk; reading is from a warm page cache, checksums compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from worldmodels.envs.game import game
from worldmodels.envs.pool import open_pool
from worldmodels.rollouts.collect import collect
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.exploration import RandomNetworks, RandomWalk
from worldmodels.rollouts.store import EpisodeStore, read_arrays, write_arrays


def main() -> None:
    """Play, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=32, help="N of the growth table")
    parser.add_argument(
        "--sample", type=int, default=8, help="episodes to play; the growth table repeats them"
    )
    parser.add_argument("--steps", type=int, default=1000, help="frames in an episode")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        sample = EpisodeStore(Path(folder) / "sample")
        play(sample, options.sample, options.steps)
        compare_levels(sample, Path(folder) / "levels.npz")
        show_growth(sample, EpisodeStore(Path(folder) / "many"), options.episodes)


def play(sample: EpisodeStore, episodes: int, steps: int) -> None:
    """Fill the sample with episodes of the actual game."""
    spec, began, frames = game("car-racing"), time.perf_counter(), 0
    with open_pool(spec) as pool:
        half = max(1, episodes // 2)
        for first, policy in ((0, RandomNetworks(spec)), (half, RandomWalk(spec))):
            frames += collect(pool, policy, range(first, first + half), sample, first, steps, 1).actions
    print(
        f"collected {len(sample)} episodes: {frames / (time.perf_counter() - began):,.0f} frames/s, stored\n"
    )


def compare_levels(sample: EpisodeStore, path: Path) -> None:
    """Print table 1."""
    episodes = [sample.read(index) for index in sample.indices()]
    frames = sum(len(episode.frames) for episode in episodes)
    print(f"{'deflate level':<14} {'bytes/frame':>12} {'written/s':>10} {'read/s':>10}   {frames:,} frames")
    for level in (0, 1, 2, 4, 6, 9):
        size, write_seconds, read_seconds = 0, 0.0, 0.0
        for episode in episodes:
            arrays = {name: np.asarray(value) for name, value in asdict(episode).items()}
            write_seconds += timed(lambda arrays=arrays, level=level: write_arrays(path, arrays, level))
            read_seconds += timed(lambda arrays=arrays: read_arrays(path, list(arrays)))
            size += path.stat().st_size
        written, read = frames / write_seconds, frames / read_seconds
        print(f"{level:<14} {size / frames:>12,.0f} {written:>10,.0f} {read:>10,.0f}")


def show_growth(sample: EpisodeStore, many: EpisodeStore, smallest: int) -> None:
    """Print table 2 and line 3."""
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        print(f"\na process that has only imported the store: {alone.apply(peak_memory):,.0f} MiB")
    print(f"\n{'':<7} {'episodes':>9} {'seconds':>8} {'frames/s':>9} {'peak memory':>12}")
    for work in (write_many, read_many):
        for episodes in (smallest, 2 * smallest, 4 * smallest):
            with multiprocessing.get_context("spawn").Pool(1) as alone:  # a process of its own: its own peak
                frames, seconds, peak = alone.apply(work, (sample, many, episodes))
            name, rate = work.__name__.removesuffix("_many"), frames / seconds
            print(f"{name:<7} {episodes:>9,} {seconds:>8.1f} {rate:>9,.0f} {peak:>8,.0f} MiB")
    seconds = timed(many.lengths)
    print(f"lengths of {len(many):,} episodes: {seconds:.2f} s, {1e6 * seconds / len(many):.0f} µs each")


def write_many(sample: EpisodeStore, many: EpisodeStore, episodes: int) -> tuple[int, float, float]:
    """Read one of the sample and write it, `episodes` times."""

    def write(index: int) -> Episode:
        episode = sample.read(index % len(sample))
        many.write(index, episode)
        return episode

    return stream(write, episodes)


def read_many(_: EpisodeStore, many: EpisodeStore, episodes: int) -> tuple[int, float, float]:
    """Read `episodes` different episodes."""
    return stream(many.read, episodes)


def stream(work: Callable[[int], Episode], episodes: int) -> tuple[int, float, float]:
    """Frames, seconds, and the peak memory of this process in MiB."""
    began = time.perf_counter()
    frames = sum(len(work(index).frames) for index in range(episodes))
    seconds = time.perf_counter() - began
    return frames, seconds, peak_memory()


def peak_memory() -> float:
    """Largest resident memory that this process has had, in MiB; Linux only.

    Not resource.getrusage: its figure includes that of the process which started this one.
    """
    kib = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert kib is not None
    return int(kib[1]) / 1024


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
