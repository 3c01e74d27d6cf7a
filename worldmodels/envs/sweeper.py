"""What is done when a worker is gone, however it went: its games end, and what they wrote goes.

A game may be a program of its own, as ViZDoom is, whose engine waits for ever when the worker that asked it to play
was killed. Nobody is left to end it if the program that started the worker was killed as well. So each worker has a
sweeper beside it: a shell (1 MB) that waits for the end of a pipe which the worker alone holds open, and then becomes

    python sweeper.py GROUP FOLDER     the worker's process group, and the folder that it ran in

This file imports nothing but the standard library, so that it starts in a few hundredths of a second.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 5.0  # seconds until a killed process is gone, even where the machine is busy


def start_sweeper(worker: int, folder: Path, lifeline: int) -> "subprocess.Popen[bytes]":
    """A process that sweeps up after the worker of that id once the other end of `lifeline` is closed."""
    command = [sys.executable, "-I", "-S", __file__, str(worker), str(folder)]
    return subprocess.Popen(
        ["/bin/sh", "-c", 'read -r _; exec "$@"', "sh", *command],
        stdin=lifeline,
        stdout=subprocess.DEVNULL,  # not the caller's: who waits for the end of our output must not wait for this
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # neither Ctrl-C nor what ends the worker is for it
    )


def sweep(group: int, folder: Path) -> None:
    """Kill the process group, and remove its folder and its engines' shared memory; for nothing left, nothing."""
    shared = {path for process in _members(group) for path in shared_memory(process)}
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while _members(group) and time.monotonic() < end:
        time.sleep(0.01)
    for path in shared:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _members(group: int) -> list[int]:
    """Processes of the group that still run; none where there is no /proc, as on macOS."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended in this moment
            state, _, its_group = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(stat.parent.name))
    return found


def shared_memory(process: int) -> set[Path]:
    """Files of shared memory by which ViZDoom's engine speaks with its worker: they outlast both."""
    with contextlib.suppress(OSError):
        maps = Path(f"/proc/{process}/maps").read_text(errors="replace")
        names = {line.split()[-1] for line in maps.splitlines() if "/dev/shm/ViZDoom" in line}
        return {Path(name) for name in names if name.startswith("/dev/shm/ViZDoom")}
    return set()


if __name__ == "__main__":
    sweep(int(sys.argv[1]), Path(sys.argv[2]))
