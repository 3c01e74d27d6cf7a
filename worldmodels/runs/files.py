"""Whole files: written aside and renamed, so that a reader finds the old file or the new one, never half of
one.

A process killed while writing leaves `NAME.tmp` behind; nothing reads it, and the next write of NAME replaces
it.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from worldmodels.errors import UserError
from worldmodels.runs.folder import command_for


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for writing bytes; the file appears under its name only when the block ends without an
    error.

    Makes the parent folders. Raises UserError when the disk is full or the place cannot be written; whatever
    goes wrong, the old file stays as it was.
    """
    aside = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the content must be on the disk before the name points to it
        os.replace(aside, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):
            aside.unlink()
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path`; raises as `atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def link(source: Path, path: Path) -> None:
    """Give a whole file, which nobody changes, a second name; where no link can be made, a copy.

    What is there under that name already stays. Raises UserError where `source` cannot be read, or as `atomic_file`.
    """
    if path.exists():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
    except OSError:
        write_atomically(path, read_whole(source))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON. NaN and infinities raise ValueError: JSON has no such numbers."""
    write_atomically(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Content of a JSON file; UserError when it is missing, cut short or something else."""
    data = read_whole(path)
    try:
        return json.loads(data)
    except ValueError as error:  # both bad JSON and bad UTF-8
        raise UserError(
            f"{path} is not complete JSON ({error}); delete it and run `{command_for(path)}`"
        ) from error


def read_whole(path: Path) -> bytes:
    """All bytes of `path`; UserError naming the command that makes it when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path} not found; run `{command_for(path)}` to make it") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from error


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence for a failed write of `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"no space left to write {path}: free some space and run the same command again")
    return UserError(f"{path} cannot be written ({error.strerror or error})")


def _sync_folder(folder: Path) -> None:
    """Put the rename itself on the disk. Where that fails, a power cut may bring the old file back, whole."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
