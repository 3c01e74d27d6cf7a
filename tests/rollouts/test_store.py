"""Episodes on disk: what is written comes back, and nothing else is taken for an episode."""

import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodels.errors import UserError
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.store import EpisodeStore, read_arrays, write_arrays

WRITES_FOREVER = """
import sys
from pathlib import Path
from worldmodels.rollouts.store import EpisodeStore
store = EpisodeStore(Path(sys.argv[1]))
episode = store.read(0)
print("begun", flush=True)
while True:
    store.write(1, episode)
"""


def episode(length: int = 5, seed: int = 0, action_size: int = 3) -> Episode:
    random = np.random.default_rng(seed)
    return Episode(
        frames=random.integers(0, 256, (length + 1, 64, 64, 3), np.uint8),
        actions=random.normal(size=(length, action_size)).astype(np.float32),
        rewards=random.normal(size=length).astype(np.float32),
        terminated=bool(seed % 2),
        policy="random-walk",
        seed=seed,
        action_repeat=4,
        game_steps=4 * length - seed % 4,
    )


def assert_same(a: Episode, b: Episode) -> None:
    for field in fields(Episode):
        x, y = getattr(a, field.name), getattr(b, field.name)
        assert type(x) is type(y), field.name
        assert np.array_equal(x, y), field.name
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype, field.name


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    return EpisodeStore(tmp_path / "run" / "rollouts" / "round-00")


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(1, 12),
    seed=st.integers(0, 2**63 - 1),
    action_size=st.integers(1, 4),
    policy=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    index=st.integers(0, 10**6),
)
def test_an_episode_comes_back(length: int, seed: int, action_size: int, policy: str, index: int):
    written = episode(length, 3, action_size)
    written = Episode(
        **{f.name: getattr(written, f.name) for f in fields(Episode)} | {"seed": seed, "policy": policy}
    )
    with tempfile.TemporaryDirectory() as folder:
        store = EpisodeStore(Path(folder))
        store.write(index, written)
        assert_same(store.read(index), written)
        assert store.indices() == [index]
        assert store.lengths().tolist() == [length]


def test_arrays_that_come_back_belong_to_the_caller(store: EpisodeStore):
    store.write(0, episode())
    first = store.read(0)
    first.frames[:] = 0
    first.actions[:] = 0
    assert_same(store.read(0), episode())


def test_numpy_reads_a_file_without_this_code(store: EpisodeStore):
    store.write(0, episode())
    with np.load(store.path(0)) as archive:
        assert np.array_equal(archive["frames"], episode().frames)
        assert str(archive["policy"]) == "random-walk"
        assert set(archive.files) == {field.name for field in fields(Episode)}


def test_equal_episodes_are_equal_bytes(store: EpisodeStore):
    store.write(0, episode())
    store.write(1, episode())
    assert store.path(0).read_bytes() == store.path(1).read_bytes()
    with zipfile.ZipFile(store.path(0)) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}, "no time of writing"


def test_indices_and_lengths_go_together(store: EpisodeStore):
    assert store.indices() == []
    assert len(store) == 0
    assert store.lengths().tolist() == []
    for index in (100_000, 2, 10):
        store.write(index, episode(length=1 + index % 7))
    assert store.indices() == [2, 10, 100_000]
    assert store.lengths().tolist() == [3, 4, 1 + 100_000 % 7]
    assert len(store) == 3


def test_files_that_are_no_episodes_do_not_count(store: EpisodeStore):
    store.write(0, episode())
    for name in (
        "episode-00001.npz.tmp",
        "episode-1.npz",
        "episode-0000x.npz",
        "notes.txt",
        "episode-00002.npy",
    ):
        (store.folder / name).write_bytes(b"?")
    assert store.indices() == [0]


def test_small_fields_are_read_without_the_frames(store: EpisodeStore):
    store.write(0, episode())
    path = store.path(0)
    with zipfile.ZipFile(path) as archive:
        frames = archive.getinfo("frames.npy")
        order = [info.filename for info in archive.infolist()]
    assert order[-1] == "frames.npy"
    data = bytearray(path.read_bytes())
    data[frames.header_offset + 200 : frames.header_offset + 300] = bytes(100)  # spoil the frames
    path.write_bytes(data)
    fields = store.read_arrays(0, ("actions", "seed"))
    assert np.array_equal(fields["actions"], episode().actions)
    assert int(fields["seed"]) == 0
    assert store.lengths().tolist() == [5]
    with pytest.raises(UserError, match="cut short or not an episode"):
        store.read(0)


def test_a_missing_episode_names_the_command(store: EpisodeStore):
    run = store.folder.parents[1]
    with pytest.raises(UserError, match=rf"episode-00007\.npz not found; run `worldmodels collect {run}`"):
        store.read(7)


def readers(store: EpisodeStore) -> list[Callable[[], object]]:
    return [lambda: store.read(0), lambda: store.read_arrays(0, ("rewards",)), store.lengths]


def test_a_file_cut_short_anywhere_is_refused(store: EpisodeStore):
    store.write(0, episode(length=1))
    whole = store.path(0).read_bytes()
    for end in [*range(0, len(whole), 97), *range(len(whole) - 700, len(whole))]:
        store.path(0).write_bytes(whole[:end])
        for read in readers(store):
            with pytest.raises(
                UserError, match=r"episode-00000\.npz is cut short .*; delete it and run `worldm"
            ):
                read()


def test_a_changed_byte_anywhere_is_refused_or_changes_nothing(store: EpisodeStore):
    store.write(0, episode(length=1))
    whole = store.path(0).read_bytes()
    for at in [*range(0, len(whole), 211), *range(1500), *range(len(whole) - 900, len(whole))]:
        store.path(0).write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        try:
            loaded = store.read(0)
        except UserError:
            continue
        assert_same(loaded, episode(length=1))


@pytest.mark.parametrize(
    "content", [b"", b"hello" * 100, b"PK\x03\x04" + bytes(100), b"\x93NUMPY" + bytes(50)]
)
def test_a_foreign_file_is_refused(store: EpisodeStore, content: bytes):
    store.folder.mkdir(parents=True)
    store.path(0).write_bytes(content)
    for read in readers(store):
        with pytest.raises(UserError, match="delete it and run `worldmodels collect"):
            read()


def test_someone_elses_archive_is_refused(store: EpisodeStore):
    store.folder.mkdir(parents=True)
    np.savez_compressed(store.path(0), obs=np.zeros((3, 64, 64, 3), np.uint8))
    for read in readers(store):
        with pytest.raises(UserError, match=r"is cut short or not an episode"):
            read()


def test_an_archive_with_pickled_objects_is_refused(store: EpisodeStore):
    store.folder.mkdir(parents=True)
    np.savez(store.path(0), rewards=np.array([print, None], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="delete it and run"):
        store.read_arrays(0, ("rewards",))


def test_an_episode_that_contradicts_itself_is_refused(store: EpisodeStore):
    good = episode()
    arrays = {field.name: np.asarray(getattr(good, field.name)) for field in fields(Episode)}
    write_arrays(store.path(0), arrays | {"rewards": np.full(5, np.nan, np.float32)})
    with pytest.raises(UserError, match=r"rewards must be finite.*delete it and run"):
        store.read(0)
    write_arrays(store.path(0), arrays | {"seed": np.zeros(2, np.int64)})
    with pytest.raises(UserError, match="delete it and run"):
        store.read(0)


def test_a_kill_in_the_middle_of_a_write_leaves_whole_episodes(store: EpisodeStore):
    store.write(0, episode(length=50))
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITES_FOREVER, str(store.folder)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        with child.stdout as said:
            said.readline()
        time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert set(store.indices()) <= {0, 1}
        for index in store.indices():
            assert_same(store.read(index), episode(length=50))


def test_a_full_disk_leaves_the_old_episode(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch):
    store.write(0, episode())

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(np.lib.format, "write_array", full)
        with pytest.raises(UserError, match="no space left to write"):
            store.write(0, episode(seed=1))
    assert_same(store.read(0), episode())
    assert [path.name for path in store.folder.iterdir()] == ["episode-00000.npz"]


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.integers(0, 5), max_size=4))
@settings(max_examples=20, deadline=None)
def test_archives_of_any_arrays_come_back(sizes: dict[str, int]):
    arrays = {name: np.arange(2 * size, dtype=np.float32).reshape(size, 2) for name, size in sizes.items()}
    with tempfile.TemporaryDirectory() as folder:
        write_arrays(Path(folder) / "a.npz", arrays)
        read = read_arrays(Path(folder) / "a.npz", list(arrays))
    assert list(read) == list(arrays)
    assert all(np.array_equal(read[name], arrays[name]) for name in arrays)
