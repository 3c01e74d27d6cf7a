"""Batches of frames: drawn from all that is stored, within a bounded memory, a function of the step."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from worldmodels.rollouts.store import EpisodeStore
from worldmodels.vision.frames import FrameBatches

MakeStore = Callable[[str, Sequence[int]], EpisodeStore]


def identities(batch: torch.Tensor) -> list[tuple[int, int]]:
    """Which episode and which frame of it each row of a batch is."""
    return [(int(red), int(green)) for red, green in batch[:, 0, 0, :2]]


def test_a_batch_is_of_whole_stored_frames(make_store: MakeStore):
    store = make_store("round-00", [4, 6])
    batch = FrameBatches([store], batch_size=32, seed=0).batch(0)
    assert batch.shape == (32, 64, 64, 3)
    assert batch.dtype == torch.uint8
    stored = {(e, t): store.read(e).frames[t] for e in (0, 1) for t in range(store.read(e).length + 1)}
    for row, identity in zip(batch, identities(batch), strict=True):
        assert np.array_equal(row.numpy(), stored[identity])


def test_every_frame_is_as_likely_as_every_other(make_store: MakeStore):
    batches = FrameBatches([make_store("round-00", [1, 8])], batch_size=100, seed=0)
    assert batches.frames == 2 + 9
    seen = Counter(identity for step in range(110) for identity in identities(batches.batch(step)))
    assert len(seen) == 11, "the last frame of an episode counts too"
    assert all(abs(count - 1000) < 150 for count in seen.values()), seen  # 5 standard deviations


def test_several_stores_are_one(make_store: MakeStore):
    stores = [make_store("round-00", [3]), make_store("round-01", [3, 3])]
    batches = FrameBatches(stores, batch_size=200, seed=0)
    assert {episode for episode, _ in identities(batches.batch(0))} == {0, 1}
    assert batches.frames == 12


@pytest.mark.parametrize("resident", [1000, 20])
def test_a_batch_depends_on_its_step_alone(make_store: MakeStore, resident: int):
    """Also far on, where a resumed training opens its batches anew in the middle."""
    stores = [make_store("round-00", [4, 9, 2, 7, 5, 3])]
    through = FrameBatches(stores, batch_size=4, seed=3, resident=resident)
    batches = [through.batch(step) for step in range(600)]
    for step in (599, 300, 299, 17, 3, 0):
        anew = FrameBatches(stores, batch_size=4, seed=3, resident=resident)
        assert torch.equal(anew.batch(step), batches[step]), step
    assert torch.equal(through.batch(5), batches[5]), "and back again"


def test_another_seed_is_another_order(make_store: MakeStore):
    stores = [make_store("round-00", [9, 9])]
    a, b = (FrameBatches(stores, batch_size=16, seed=seed).batch(0) for seed in (0, 1))
    assert not torch.equal(a, b)


def blocks(batches: FrameBatches, steps: int) -> list[set[int]]:
    """The episodes in memory, each time that they change."""
    found: list[set[int]] = []
    for step in range(steps):
        batches.batch(step)
        resident = {int(red) for red in batches._resident[:, 0, 0, 0]}
        if not found or found[-1] != resident:
            found.append(resident)
    return found


@pytest.mark.parametrize("lengths", [[9] * 12, [1, 29, 1, 1, 29, 1, 1, 29, 1, 1, 1, 1]])
def test_no_more_than_the_allowed_frames_are_in_memory(make_store: MakeStore, lengths: list[int]):
    batches = FrameBatches([make_store("round-00", lengths)], batch_size=5, seed=0, resident=40)
    assert batches.frames > 40
    for step in range(200):
        batches.batch(step)
        assert len(batches._resident) <= 40, step


def test_what_fits_into_memory_is_read_once(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch):
    read: list[int] = []
    read_arrays = EpisodeStore.read_arrays

    def recording(self: EpisodeStore, index: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        read.append(index)
        return read_arrays(self, index, names)

    monkeypatch.setattr(EpisodeStore, "read_arrays", recording)
    batches = FrameBatches([make_store("round-00", [3, 3, 3])], batch_size=4, seed=0)
    for step in range(20):
        batches.batch(step)
    assert sorted(read) == [0, 1, 2]


def test_reading_a_block_needs_hardly_more_memory_than_the_block(make_store: MakeStore):
    """Collecting its episodes first and joining them afterwards would need twice as much."""
    batches = FrameBatches([make_store("round-00", [4] * 60)], batch_size=5, seed=0, resident=200)
    tracemalloc.start()
    batches.batch(0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batches._resident) == 150  # two blocks of equal size
    assert peak < 1.5 * batches._resident.nbytes


def test_an_epoch_visits_every_episode_once_and_for_as_long(make_store: MakeStore):
    store = make_store("round-00", [9] * 9)  # 90 frames with room for 40: not 40 + 40 + 10
    visited = blocks(FrameBatches([store], batch_size=1, seed=0, resident=40), steps=180)
    assert [len(block) for block in visited] == [3] * 6
    assert set.union(*visited[:3]) == set.union(*visited[3:]) == set(range(9))
    assert visited[:3] != visited[3:], "shuffled anew"


def test_an_episode_longer_than_the_memory_allows_is_a_block_of_its_own(make_store: MakeStore):
    batches = FrameBatches([make_store("round-00", [9, 9])], batch_size=3, seed=0, resident=5)
    assert all(len(block) == 1 for block in blocks(batches, 30))


def test_nothing_stored_is_refused(make_store: MakeStore):
    with pytest.raises(ValueError, match="no episodes to draw frames from"):
        FrameBatches([make_store("round-00", [])], batch_size=1, seed=0)
