"""Frames to and from the disk: every frame is written and read, they compress as the game's do, and nothing stays."""

from __future__ import annotations

import tempfile

import numpy as np
import pytest

from worldmodels.bench import storing
from worldmodels.bench.measurement import Budget
from worldmodels.errors import UserError
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.vision.frames import FrameBatches

ONCE = Budget(seconds=0.0, least=2, warm_up=0)


@pytest.fixture
def no_game(monkeypatch):
    def refuse(*_):
        raise UserError("nobody plays here")

    monkeypatch.setattr(storing, "open_pool", refuse)
    monkeypatch.setattr(storing, "LENGTH", 200)
    monkeypatch.setattr(storing, "PLAYED", 20)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_measures_both_and_leaves_nothing(no_game, temporary):
    heard = []
    written, read = storing.measure_store(ONCE, heard.append)
    assert heard == [written.name, read.name] == ["store_write", "store_read"]
    for row in (written, read):
        assert row.value is not None
        assert row.low is not None
        assert row.high is not None
        assert row.unit == "frames"
        assert 0 < row.low <= row.value <= row.high
        assert "drawing" in row.note
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_after_an_error(no_game, temporary, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storing, "read_timing", fail)
    with pytest.raises(KeyboardInterrupt):
        storing.measure_store(ONCE, lambda _: None)
    assert list(temporary.iterdir()) == []


def test_an_epoch_of_reading_inflates_every_episode_once(tmp_path, monkeypatch):
    monkeypatch.setattr(storing, "LENGTH", 320)
    store = EpisodeStore(tmp_path)
    episode = storing.episode_of(storing.drawn_frames(0, 4))
    for index in range(3):
        store.write(index, episode)
    inflated: list[int] = []
    read_arrays = EpisodeStore.read_arrays
    monkeypatch.setattr(
        EpisodeStore,
        "read_arrays",
        lambda self, index, names: (inflated.append(index), read_arrays(self, index, names))[1],
    )
    drawn: list[int] = []
    batch = FrameBatches.batch
    monkeypatch.setattr(FrameBatches, "batch", lambda self, step: (drawn.append(step), batch(self, step))[1])
    frames, timing = storing.read_timing(store, ONCE)
    assert timing.calls == 2
    assert sorted(inflated[:3]) == sorted(inflated[3:]) == [0, 1, 2]
    assert drawn == list(range(2 * frames // storing.BATCH))
    assert frames == 3 * 300, "whole batches of each episode's frames"


def test_the_episode_goes_through_the_frames_back_and_forth():
    frames = storing.drawn_frames(1, 5)
    episode = storing.episode_of(frames)
    assert episode.length == storing.LENGTH
    for place, which in enumerate([0, 1, 2, 3, 4, 3, 2, 1, 0, 1]):
        np.testing.assert_array_equal(episode.frames[place], frames[which])


def test_a_drawing_is_about_as_large_as_the_game(tmp_path):
    """A stored frame of CarRacing has 1.3 to 1.9 KB; nothing but noise would have 12, and a constant picture 0.1."""
    store = EpisodeStore(tmp_path)
    store.write(0, storing.episode_of(storing.drawn_frames(0, storing.PLAYED)))
    assert 800 < store.path(0).stat().st_size / storing.LENGTH < 2500


def test_the_game_gives_frames_where_it_is_there():
    pytest.importorskip("envpool")
    played, note = storing.actual_frames()
    assert note == ""
    assert [len(frames) for frames in played] == [storing.PLAYED + 1] * storing.EPISODES
    assert not np.array_equal(played[0][-1], played[1][-1])
