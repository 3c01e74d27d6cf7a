"""Metrics: one JSON object a line in metrics/NAME.jsonl, and the same numbers for TensorBoard."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from worldmodels.runs.files import cannot_write, write_atomically
from worldmodels.runs.folder import RunFolder


class MetricsLog:
    """Append-only log of numbers by step.

    Args:
        run: the run folder. name: of the log; the file is metrics/NAME.jsonl, the TensorBoard run
        metrics/tensorboard/NAME. keep_before: on a resume, the step at which training goes on: lines of that
        step and later were written by
            the run that was cut off and will be written again, so they are dropped first. None keeps
            everything.
    """

    def __init__(self, run: RunFolder, name: str, keep_before: int | None = None) -> None:
        from torch.utils.tensorboard import (
            SummaryWriter,
        )  # slow to import, and readers of metrics do not need it

        self.path = run.metrics(name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _drop_from(self.path, keep_before)
        self._file = open(self.path, "ab")  # noqa: SIM115 - closed in close()
        self._board = SummaryWriter(str(run.tensorboard / name), purge_step=keep_before)

    def write(self, step: int, **values: float) -> None:
        """Append one line; UserError when the disk is full.

        A value that is not finite is written as null, since JSON has no such number.
        """
        numbers = {name: float(value) for name, value in values.items()}
        line = {"step": int(step)} | {name: x if math.isfinite(x) else None for name, x in numbers.items()}
        try:
            self._file.write((json.dumps(line) + "\n").encode())
            self._file.flush()  # a kill loses no line
            for name, x in numbers.items():
                self._board.add_scalar(name, x, step)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Close both; a full disk shows here at the latest."""
        try:
            with closing(self._board), closing(self._file):
                pass
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_metrics(run: RunFolder, name: str) -> list[dict[str, Any]]:
    """Lines of metrics/NAME.jsonl as {"step": int, name: float, ...}; null is read as NaN. No file: no lines.

    A last line that was cut off in the middle is left out.
    """
    return [_from_json(json.loads(line)) for line in _whole_lines(run.metrics(name))]


def _from_json(line: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in line.items()}


def _whole_lines(path: Path) -> list[bytes]:
    """Lines that end in a newline: `write` ends every line with one, so only a torn last line has none."""
    if not path.exists():
        return []
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _drop_from(path: Path, step: int | None) -> None:
    """Drop the lines of `step` and later, and a torn last line that the next would otherwise be glued to."""
    if not path.exists():
        return
    kept = b"".join(
        line for line in _whole_lines(path) if step is None or int(json.loads(line)["step"]) < step
    )
    if kept != path.read_bytes():
        write_atomically(path, kept)
