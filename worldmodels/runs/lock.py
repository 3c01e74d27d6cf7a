"""One process at a time works on a run."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.runs.files import cannot_write


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder; UserError when another process does. The lock ends with the process, however that ends."""
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "?"
            raise UserError(
                f"{folder} is in use by process {holder}; wait for it, stop it, or choose another --run"
            ) from error
        os.truncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)
