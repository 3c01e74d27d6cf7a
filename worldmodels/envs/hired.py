"""The parent's end of a worker process: start it, ask it, read its answers, end it."""

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from worldmodels.envs.sweeper import shared_memory, start_sweeper, sweep
from worldmodels.envs.wire import SharedFrames, read_message, write_message

GRACE = 10.0  # seconds in which a worker may end its games itself
SUSPICIOUS = 5.0  # seconds without an answer after which a worker's engines are looked for


class HiredWorker:
    """A worker process, the frames it shares, and the folder it runs in, which nothing survives.

    Workers are plain child programs, not multiprocessing: they never import the caller's script again, need no
    `if __name__ == "__main__"`, and stay small (no torch).
    """

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        package_root = str(Path(__file__).resolve().parents[2])
        # The user's own paths come first, as they do here, and may be relative to the folder that this process is in.
        paths = [*filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), package_root]
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the workers are the parallelism
        self.shared = SharedFrames(frame_shape)
        self._folder = Path(tempfile.mkdtemp(prefix="worldmodels-"))  # ViZDoom writes into the one it runs in
        ends, held = os.pipe()  # the worker alone will hold `held`, and `ends` says when it is gone
        module = ["-m", "worldmodels.envs.gymnasium_worker", str(self.shared.descriptor), str(held)]
        self.process = subprocess.Popen(
            # -P: a json.py in the user's folder is not imported.  -W: Gymnasium warns at every make.
            [sys.executable, "-P", "-W", "ignore", *module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder,
            env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, paths))},
            pass_fds=(self.shared.descriptor, held),
            start_new_session=True,  # Ctrl-C is for the parent alone, which then ends the workers
        )
        os.close(held)
        self._sweeper = start_sweeper(self.process.pid, self._folder, ends)
        os.close(ends)
        self.lost_engine = (
            False  # whether the worker was killed because it waited for an engine that had died
        )
        self._engines: set[int] = set()
        self._asked: float | None = None  # when the request was sent that is not answered yet
        self._dismissed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request."""
        self._asked = time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # a dead worker is reported by the missing answer
            write_message(_open(self.process.stdin), request)

    def answer(self) -> dict[str, Any] | None:
        """The next answer; None when the worker has died."""
        reply = read_message(_open(self.process.stdout))
        self._asked = time.monotonic() if reply is not None else None
        return reply

    def rest(self, started: bool) -> None:
        """Everything is answered. Where games were started, their engines are remembered."""
        self._asked = None
        if started:
            self._engines = _children(self.process.pid)

    def _watch(self) -> None:
        """Kill the worker when it waits for an engine that has died.

        An engine that is killed while it holds the lock of ViZDoom's message queue leaves the worker waiting for ever.
        """
        while not self._dismissed.wait(1.0):
            asked = self._asked
            if asked is None or time.monotonic() - asked < SUSPICIOUS:
                continue
            if self._engines - _children(self.process.pid):
                self.lost_engine = True
                # The dead engine's too, which after this nobody would find.
                for path in shared_memory(self.process.pid):
                    path.unlink(missing_ok=True)
                self.process.kill()
                return

    def dismiss(self) -> None:
        """Let it end its games and go; does not wait."""
        self._dismissed.set()
        with contextlib.suppress(BrokenPipeError):  # of a request that was never read
            _open(self.process.stdin).close()

    def see_off(self) -> None:
        """Wait until it has gone and everything of it; to be dismissed before."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._sweeper.wait(GRACE)
        if self._sweeper.returncode != 0:  # it was killed itself
            self._sweeper.kill()
            self._sweeper.wait()
            sweep(self.process.pid, self._folder)
        _open(self.process.stdout).close()
        self.shared.close()


def _children(pid: int) -> set[int]:
    """Ids of a process's children that still run; none where there is no /proc, as on macOS."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended in this moment
            found |= {int(child) for child in task.read_text().split()}
    return found


def _open(pipe: Any) -> Any:
    assert pipe is not None, "workers are started with pipes"
    return pipe
