"""Atomic files: the old one or the new one, whatever happens while writing."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worldmodels.errors import UserError
from worldmodels.runs import files
from worldmodels.runs.files import atomic_file, link, read_json, write_atomically, write_json

KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from worldmodels.runs.files import atomic_file
with atomic_file(Path(sys.argv[1])) as file:
    file.write(b"new" * 100_000)
    file.flush()
    print("half", flush=True)
    time.sleep(60)
"""


def test_writing_makes_the_folders_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "a" / "b" / "c.bin"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "c.bin"
    write_atomically(path, b"old")
    child = subprocess.Popen([sys.executable, "-c", KILLED_WHILE_WRITING, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout as said:
        assert said.readline() == b"half\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert path.read_bytes() == b"old"
    assert (tmp_path / "c.bin.tmp").stat().st_size == 300_000, "the kill did not come in the middle"
    write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["c.bin"], "the next write replaces the leftover"


def test_kills_at_any_moment_leave_one_of_the_two_files(tmp_path: Path):
    path = tmp_path / "c.json"
    write_json(path, {"n": -1})
    code = (
        "import sys; from pathlib import Path; from worldmodels.runs.files import write_json\n"
        "print(flush=True)\n"
        "for n in range(10**9): write_json(Path(sys.argv[1]), {'n': n, 'pad': 'x' * 20_000})"
    )
    for pause in (0.0, 0.003, 0.01, 0.031):
        child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout as said:
            said.readline()
        time.sleep(pause)
        child.kill()
        child.wait()
        assert read_json(path)["n"] >= -1


def test_an_error_while_writing_leaves_the_old_file_and_no_leftover(tmp_path: Path):
    path = tmp_path / "c.bin"
    write_atomically(path, b"old")
    with pytest.raises(RuntimeError, match="mine"), atomic_file(path) as file:  # noqa: PT012
        file.write(b"new")
        raise RuntimeError("mine")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.bin"]


def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "c.bin"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=r"no space left to write .*c\.bin: free some space and run the same"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["c.bin"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this machine")
def test_a_device_that_is_really_full(tmp_path: Path):
    (tmp_path / "c.bin.tmp").symlink_to("/dev/full")  # every write to it fails with ENOSPC
    with pytest.raises(UserError, match="no space left"):
        write_atomically(tmp_path / "c.bin", b"new")
    assert not (tmp_path / "c.bin").exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/c\.bin cannot be written \("):
        write_atomically(tmp_path / "file" / "c.bin", b"new")


def test_json_comes_back(tmp_path: Path):
    content = {"a": [1, 2.5, None, "é"], "b": {"c": True}}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == content


def test_json_has_no_nan(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_bad_json_is_one_sentence_with_the_command(tmp_path: Path):
    path = tmp_path / "evaluation" / "actual.json"
    with pytest.raises(UserError, match=f"not found; run `worldmodels train GAME --run {tmp_path}`"):
        read_json(path)
    write_json(path, {"mean": 1.0, "scores": [1, 2, 3]})
    whole = path.read_bytes()
    for end in (0, 1, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:end])
        with pytest.raises(
            UserError, match=f"not complete JSON.*run `worldmodels train GAME --run {tmp_path}`"
        ):
            read_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not complete JSON"):
        read_json(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path)


def test_a_copy_is_made_where_no_link_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuses(*_: object) -> None:
        raise OSError("another disk")

    monkeypatch.setattr("os.link", refuses)
    (tmp_path / "a").write_bytes(b"whole")
    link(tmp_path / "a", tmp_path / "folder/b")
    assert (tmp_path / "folder/b").read_bytes() == b"whole"
    (tmp_path / "a").write_bytes(b"other")
    link(tmp_path / "a", tmp_path / "folder/b")
    assert (tmp_path / "folder/b").read_bytes() == b"whole", "what is there stays"
    with pytest.raises(UserError, match="nothing not found"):
        link(tmp_path / "nothing", tmp_path / "folder/c")
    assert not (tmp_path / "folder/c").exists()
