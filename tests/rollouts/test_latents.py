"""Latent episodes on disk: what comes back, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from worldmodels.errors import UserError
from worldmodels.rollouts.latents import (
    LatentEpisode,
    latents_vision,
    mirrored,
    read_folders,
    read_latents,
    write_latents,
)

RandomLatents = Callable[..., LatentEpisode]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run" / "latents" / "round-00"


@pytest.mark.parametrize("terminated", [True, False])
def test_an_episode_comes_back(random_latents: RandomLatents, folder: Path, terminated: bool):
    path, episode = folder / "episode-00000.npz", random_latents(5, terminated=terminated)
    write_latents(path, episode, "abc")
    back = read_latents(path, "abc")
    for name in ("mu", "logvar", "actions", "rewards"):
        stored = getattr(back, name)
        assert np.array_equal(stored, getattr(episode, name))
        assert stored.dtype == np.float32
    assert (back.terminated, back.length) == (terminated, 5)
    assert latents_vision(path) == "abc"


def test_the_latents_of_another_v_are_refused(random_latents: RandomLatents, folder: Path):
    path = folder / "episode-00000.npz"
    write_latents(path, random_latents(5), "abc")
    says = rf"was encoded by another V; delete it and run `worldmodels encode {folder.parents[1]}`"
    with pytest.raises(UserError, match=says):
        read_latents(path, "def")


def test_missing_and_damaged_files_are_refused(random_latents: RandomLatents, folder: Path):
    path = folder / "episode-00000.npz"
    assert latents_vision(path) is None
    with pytest.raises(UserError, match="not found; run `worldmodels encode"):
        read_latents(path, "abc")
    write_latents(path, random_latents(5), "abc")
    path.write_bytes(path.read_bytes()[:-30])
    assert latents_vision(path) is None
    with pytest.raises(UserError, match="cut short or not an episode"):
        read_latents(path, "abc")


def test_folders_are_read_in_the_order_of_the_episodes(random_latents: RandomLatents, folder: Path):
    for index in (3, 100_000, 0, 20):
        write_latents(folder / f"episode-{index:05d}.npz", random_latents(index % 7 + 1), "abc")
    write_latents(mirrored(folder) / "episode-00000.npz", random_latents(9), "abc")
    assert [e.length for e in read_folders([folder], "abc")] == [1, 4, 7, 6]
    assert [e.length for e in read_folders([folder, mirrored(folder)], "abc")] == [1, 4, 7, 6, 9]


@pytest.mark.parametrize(
    ("first", "length", "ticks", "terminated"),
    [(0, 9, 9, True), (0, 4, 4, False), (3, 4, 4, False), (5, 4, 4, True), (7, 4, 2, True), (0, 99, 9, True)],
)
def test_a_part_is_some_ticks_in_a_row(
    random_latents: RandomLatents, first: int, length: int, ticks: int, terminated: bool
):
    episode = random_latents(9)
    part = episode.part(first, length)
    assert part.length == ticks
    assert np.array_equal(part.mu, episode.mu[first : first + ticks + 1]), "and the frame after the last"
    assert np.array_equal(part.logvar, episode.logvar[first : first + ticks + 1])
    assert np.array_equal(part.actions, episode.actions[first : first + ticks])
    assert np.array_equal(part.rewards, episode.rewards[first : first + ticks])
    assert part.terminated == terminated, "only the part with the last tick ends as the episode did"


def test_a_part_of_an_episode_that_was_cut_off_has_no_end(random_latents: RandomLatents):
    assert not random_latents(9, terminated=False).part(5, 9).terminated


@pytest.mark.parametrize(
    "wrong", [{"mu": 5, "logvar": 5}, {"mu": 5}, {"actions": 4}, {"rewards": 6}, {"actions": 6, "rewards": 6}]
)
def test_fields_that_contradict_each_other_are_refused(wrong: dict[str, int]):
    sizes = {"mu": 6, "logvar": 6, "actions": 5, "rewards": 5} | wrong
    fields = {name: np.zeros((size, 2) if name != "rewards" else size) for name, size in sizes.items()}
    with pytest.raises(ValueError, match="shapes disagree: mu"):
        LatentEpisode(**fields, terminated=False)
