"""Progress: a live bar on a terminal, a plain line every ten seconds anywhere else (a log file, CI).

Both go to standard error, so that standard output keeps what the command was asked for.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

PLAIN_LINE_EVERY = 10.0  # seconds
RATE_OVER = 30.0  # seconds that the shown rate looks back: long enough to be calm, short enough to be true


class Counter:
    """How far one stage is. `advance` is what the stage calls; the rest says it in words."""

    def __init__(self, description: str, total: int, unit: str, start: int = 0) -> None:
        self.description, self.total, self.unit = description, total, unit
        self.start, self.done = start, start
        self.info: dict[str, object] = {}
        self.began = time.monotonic()
        self._recent: deque[tuple[float, int]] = deque([(self.began, start)])

    def advance(self, n: int = 1, **info: object) -> None:
        """Count `n` units more; `info` (loss=1.02) is shown at the end of the line until it is replaced."""
        now = time.monotonic()
        self.done += n
        self.info |= info
        if now - self._recent[-1][0] > 0.1 or len(self._recent) == 1:
            self._recent.append((now, self.done))
        while len(self._recent) > 2 and now - self._recent[1][0] > RATE_OVER:
            self._recent.popleft()
        self._show(now)

    def _show(self, now: float) -> None:
        """Replaced by whoever displays the counter."""

    def rate(self) -> float:
        """Units per second of late; 0 before there is anything to measure."""
        (began, done), now = self._recent[0], time.monotonic()
        return (self.done - done) / (now - began) if now > began else 0.0

    def status(self) -> str:
        """`1,200/4,000 steps  30 %  310 steps/s  9 s left  loss 1.02`"""
        parts = [f"{self.done:,}/{self.total:,} {self.unit}"]
        if self.total > 0:
            parts.append(f"{100 * self.done / self.total:.0f} %")
        if (rate := self.rate()) > 0:
            parts.append(f"{_number(rate)} {self.unit}/s")
            if self.total > self.done:
                parts.append(f"{duration((self.total - self.done) / rate)} left")
        return "  ".join(parts + self._info())

    def ending(self, finished: bool) -> str:
        """The one line that stays: `4,000 steps in 13 s  310 steps/s  loss 0.98`"""
        seconds = time.monotonic() - self.began
        played = self.done - self.start
        count = (
            f"{played:,} {self.unit}" if finished else f"stopped at {self.done:,}/{self.total:,} {self.unit}"
        )
        parts = [f"{count} {'in' if finished else 'after'} {duration(seconds)}"]
        if played > 0 and seconds > 0:
            parts.append(f"{_number(played / seconds)} {self.unit}/s")
        return "  ".join(parts + self._info())

    def _info(self) -> list[str]:
        return [f"{name} {_value(value)}" for name, value in self.info.items()]


@contextmanager
def progress(
    description: str, total: int, unit: str, start: int = 0, console: Console | None = None
) -> Iterator[Counter]:
    """Show how far a stage is while the block runs; ends with one line of total time and rate.

    Args:
        description: one word, the stage.
        total: units there are in all, those of an earlier run included.
        unit: in the plural ("steps", "episodes").
        start: units that an earlier run has done already.
        console: where to write; standard error by default.
    """
    console = console or Console(stderr=True, highlight=False)
    counter = Counter(description, total, unit, start)
    finished = False
    try:
        with (
            _live_bar(counter, console)
            if console.is_terminal
            else nullcontext(_plain_lines(counter, console))
        ):
            yield counter
        finished = True
    finally:
        _print(console, f"{description}  {counter.ending(finished)}")


@contextmanager
def _live_bar(counter: Counter, console: Console) -> Iterator[None]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(counter.description, total=counter.total, completed=counter.done, status="")
        shown = 0.0

        def show(now: float) -> None:
            nonlocal shown
            if now - shown >= 0.1:  # rich redraws ten times a second; more would only cost
                shown = now
                bar.update(task, completed=counter.done, status=counter.status())

        counter._show = show
        yield


def _plain_lines(counter: Counter, console: Console) -> None:
    said = counter.began

    def show(now: float) -> None:
        nonlocal said
        if now - said >= PLAIN_LINE_EVERY:
            said = now
            _print(console, f"{counter.description}  {counter.status()}")

    counter._show = show


def _print(console: Console, line: str) -> None:
    console.print(Text(line), soft_wrap=True)  # a log's line is not broken at 80 columns


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """`9 s`, `2 min 05 s`, `1 h 03 min`"""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
