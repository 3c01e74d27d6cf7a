"""Collecting: what was played is what is stored."""

from pathlib import Path

import numpy as np
import pytest

from worldmodels.envs.game import game
from worldmodels.envs.pool import PoolStep, open_pool
from worldmodels.errors import UserError
from worldmodels.rollouts.collect import CollectConfig, collect, play
from worldmodels.rollouts.exploration import RandomNetworks, RandomWalk
from worldmodels.rollouts.store import EpisodeStore

REPEAT = 2


class CountingPool:
    """Games whose frames count their steps; game b ends after ends[b] steps (negative: it is truncated)."""

    def __init__(self, ends: list[int]) -> None:
        self.spec, self.action_repeat, self.ends = game("car-racing"), REPEAT, np.array(ends)

    def reset(self, seeds: list[int]) -> np.ndarray:
        self.steps_taken = np.zeros(len(seeds), np.int64)
        return self.frames()

    def frames(self) -> np.ndarray:
        return np.broadcast_to(self.steps_taken[:, None, None, None], (len(self.ends), 64, 64, 3)).astype(
            np.uint8
        )

    def step(self, actions: np.ndarray) -> PoolStep:
        before = self.steps_taken
        self.steps_taken = np.minimum(before + REPEAT, abs(self.ends))
        ended = self.steps_taken == abs(self.ends)
        rewards = (self.steps_taken - before).astype(np.float32)
        none = np.zeros_like(before)
        return PoolStep(self.frames(), rewards, ended & (self.ends > 0), ended & (self.ends < 0), none)


class CountingPolicy:
    """Acts with the number of the tick."""

    name = "counting"

    def start(self, seeds: list[int]) -> None:
        self.tick = 0
        self.looked_at: list[int] = []

    def keep(self, rows: np.ndarray) -> None:
        assert len(rows) < self.looked_at[-1]

    def act(self, frames: np.ndarray) -> np.ndarray:
        self.tick += 1
        self.looked_at.append(len(frames))
        return np.full((len(frames), 3), self.tick, np.float32)


def test_frames_actions_and_rewards_are_aligned_and_stop_at_the_end():
    pool = CountingPool([5, -4, 1, 99])
    died, cut, short, long = play(pool, CountingPolicy(), [7, 8, 9, 10], 4, REPEAT)  # type: ignore[arg-type]
    assert died.frames[:, 0, 0, 0].tolist() == [0, 2, 4, 5]  # frames[t] is what was seen before actions[t]
    assert died.actions[:, 0].tolist() == [1, 2, 3]
    assert died.rewards.tolist() == [2, 2, 1]  # earned by actions[t]
    assert (died.terminated, died.game_steps, died.seed, died.policy) == (True, 5, 7, "counting")
    assert (cut.terminated, cut.game_steps, cut.length) == (False, 4, 2)
    assert (short.terminated, short.game_steps, short.length) == (True, 1, 1)
    assert (long.terminated, long.game_steps, long.length) == (False, 8, 4), "cut off by max_ticks"


def test_playing_stops_when_all_have_ended():
    pool, policy = CountingPool([3, 2]), CountingPolicy()
    play(pool, policy, [1, 2], 100, REPEAT)  # type: ignore[arg-type]
    assert policy.tick == 2


def test_ended_episodes_are_not_looked_at_for_long():
    pool, policy = CountingPool([3, 90, 3, 70, 3]), CountingPolicy()
    episodes = play(pool, policy, [1, 2, 3, 4, 5], 100, REPEAT)  # type: ignore[arg-type]
    assert policy.looked_at == [5] * 16 + [2] * 29, "a single one of two is not left out before the next look"
    for episode, steps in zip(episodes, [3, 90, 3, 70, 3], strict=True):
        ticks = -(-steps // REPEAT)
        assert episode.actions[:, 0].tolist() == [*range(1, ticks + 1)]
        assert episode.frames[:, 0, 0, 0].tolist() == [*range(0, steps, REPEAT), steps]
        assert episode.rewards.sum() == episode.game_steps == steps


def test_a_batch_without_actions_is_refused():
    with pytest.raises(ValueError, match="max_ticks must be at least 1, got 0"):
        play(CountingPool([3]), CountingPolicy(), [1], 0, REPEAT)  # type: ignore[arg-type]


def test_another_action_repeat_than_the_pools_is_refused():
    with pytest.raises(ValueError, match="repeats actions 2 times, got action_repeat 3"):
        play(CountingPool([3]), CountingPolicy(), [1], 4, 3)  # type: ignore[arg-type]


def toy_batch(store: EpisodeStore, seeds: list[int], first: int = 0) -> tuple[float, ...]:
    spec = game("toy")
    with open_pool(spec, action_repeat=REPEAT) as pool:
        collected = collect(pool, RandomWalk(spec), seeds, store, first, 30, REPEAT)
    assert collected.episodes == len(seeds)
    assert collected.actions == sum(store.read(first + i).length for i in range(len(seeds)))
    assert collected.game_steps == sum(store.read(first + i).game_steps for i in range(len(seeds)))
    assert collected.seconds > 0
    return collected.scores


def test_episodes_are_stored_in_order(tmp_path: Path):
    store = EpisodeStore(tmp_path)
    scores = toy_batch(store, [11, 12, 13], first=5)
    assert store.indices() == [5, 6, 7]
    assert [store.read(index).seed for index in store.indices()] == [11, 12, 13]
    assert tuple(store.read(index).score for index in store.indices()) == scores


def test_the_same_seeds_give_the_same_files_byte_for_byte(tmp_path: Path):
    a, b, alone = (EpisodeStore(tmp_path / name) for name in ("a", "b", "alone"))
    toy_batch(a, [1, 2, 3])
    toy_batch(b, [1, 2, 3])
    toy_batch(alone, [2], first=1)
    assert a.path(0).read_bytes() != a.path(1).read_bytes()
    for index in range(3):
        assert a.path(index).read_bytes() == b.path(index).read_bytes()
    assert a.path(1).read_bytes() == alone.path(1).read_bytes(), "neighbours make no difference"


def test_a_batch_that_was_cut_off_is_completed_by_playing_it_again(tmp_path: Path):
    whole, cut = EpisodeStore(tmp_path / "whole"), EpisodeStore(tmp_path / "cut")
    toy_batch(whole, [1, 2, 3])
    toy_batch(cut, [1, 2, 3])
    cut.path(2).unlink()
    cut.path(1).with_name("episode-00001.npz.tmp").write_bytes(cut.path(1).read_bytes()[:100])
    cut.path(1).unlink()
    toy_batch(cut, [1, 2, 3])
    names = sorted(path.name for path in cut.folder.iterdir())
    assert names == sorted(path.name for path in whole.folder.iterdir())
    assert all((cut.folder / name).read_bytes() == (whole.folder / name).read_bytes() for name in names)


def test_car_racing_gives_the_same_files_again(tmp_path: Path):
    spec = game("car-racing")
    for name in ("a", "b"):
        with open_pool(spec, action_repeat=4) as pool:
            collect(pool, RandomNetworks(spec), [1, 2], EpisodeStore(tmp_path / name), 0, 15, 4)
    for index in range(2):
        a, b = (EpisodeStore(tmp_path / name).path(index).read_bytes() for name in ("a", "b"))
        assert a == b
    assert EpisodeStore(tmp_path / "a").read(0).game_steps == 60


# Episodes that are too short, and others in their place. Toy games of a random walk are lost after 4 to 15 ticks.


def toy_batch_of_long_ones(store: EpisodeStore, seeds: list[int], shortest: int, first: int = 0) -> list[int]:
    """Their lengths."""
    spec = game("toy")
    with open_pool(spec, action_repeat=REPEAT) as pool:
        collected = collect(pool, RandomWalk(spec), seeds, store, first, 30, REPEAT, shortest=shortest)
    lengths = [store.read(first + i).length for i in range(len(seeds))]
    assert collected.actions == sum(lengths)
    assert collected.scores == tuple(store.read(first + i).score for i in range(len(seeds)))
    assert collected.game_steps == sum(store.game_steps(first + i) for i in range(len(seeds)))
    return lengths


def test_no_short_episode_is_stored_and_long_ones_stay_as_they_are(tmp_path: Path):
    every, long = EpisodeStore(tmp_path / "every"), EpisodeStore(tmp_path / "long")
    seeds = [*range(10, 30)]
    toy_batch(every, seeds)
    lengths = [every.read(index).length for index in range(20)]
    shortest = sorted(lengths)[10]  # so that about half are too short
    assert min(toy_batch_of_long_ones(long, seeds, shortest)) > shortest
    kept = [index for index in range(20) if lengths[index] > shortest]
    assert 0 < len(kept) < 20
    for index in range(20):
        same = every.path(index).read_bytes() == long.path(index).read_bytes()
        assert same == (index in kept)
        dropped = long.read(index).dropped_steps
        assert dropped == 0 if index in kept else dropped >= every.read(index).game_steps, (
            "they were played too"
        )
        assert long.game_steps(index) == long.read(index).game_steps + dropped
    assert len({long.read(index).seed for index in range(20)}) == 20, "no replacement is played twice"


def test_replacements_are_the_same_again_and_do_not_depend_on_the_batch(tmp_path: Path):
    """A batch that was cut off ends in the same files, as does one of another size."""
    whole, cut, alone = (EpisodeStore(tmp_path / name) for name in ("whole", "cut", "alone"))
    seeds = [*range(10, 22)]
    toy_batch_of_long_ones(whole, seeds, 12)
    toy_batch_of_long_ones(cut, seeds, 12)
    for index in (7, 9, 10, 11):
        cut.path(index).unlink()
    toy_batch_of_long_ones(cut, seeds, 12)
    for index in range(len(seeds)):
        toy_batch_of_long_ones(alone, [seeds[index]], 12, first=index)
        for other in (cut, alone):
            assert other.path(index).read_bytes() == whole.path(index).read_bytes()
    assert any(whole.read(index).seed not in seeds for index in range(len(seeds)))


def test_a_length_that_no_episode_reaches_is_one_clear_sentence(tmp_path: Path):
    store = EpisodeStore(tmp_path)
    pool = CountingPool([5, 5])
    with pytest.raises(UserError, match=r"^no episode lasts for more than 3 ticks: lower collect\.shortest$"):
        collect(pool, CountingPolicy(), [1, 2], store, 0, 10, REPEAT, shortest=3)  # type: ignore[arg-type]
    assert store.indices() == []


@pytest.mark.parametrize("shortest", [-1, 20, 21])
def test_a_length_that_no_episode_may_have_is_refused(shortest: int):
    with pytest.raises(ValueError, match=rf"collect\.shortest must lie in 0\.\.19, .* got {shortest}$"):
        CollectConfig(first_ticks=20, shortest=shortest)
