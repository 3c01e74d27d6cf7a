"""The parent's end of a worker process: start it, ask it, read its answers, end it."""

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from worldmodels.envs.sweep import start_sweeper, sweep
from worldmodels.envs.wire import SharedFrames, read_message, write_message

GRACE = 10.0  # seconds in which a worker may end its games itself


class HiredWorker:
    """A worker process, the frames it shares, and the folder it runs in, which nothing survives.

    Workers are plain child programs, not multiprocessing: they never import the caller's script again, need no
    `if __name__ == "__main__"`, and stay small (no torch).
    """

    def __init__(self, frame_shape: tuple[int, ...]) -> None:
        package_root = str(Path(__file__).resolve().parents[2])
        paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
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

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request."""
        with contextlib.suppress(BrokenPipeError):  # a dead worker is reported by the missing answer
            write_message(_open(self.process.stdin), request)

    def answer(self) -> dict[str, Any] | None:
        """The next answer; None when the worker has died."""
        return read_message(_open(self.process.stdout))

    def dismiss(self) -> None:
        """Let it end its games and go; does not wait."""
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


def _open(pipe: Any) -> Any:
    assert pipe is not None, "workers are started with pipes"
    return pipe
