"""What tables of further Cs have in common: Cs made in turn with the time that is left, scores as text."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worldmodels.runs.progress import duration

Found = dict[str, Any]  # what a table says of one C


@dataclass(frozen=True)
class Cell:
    """One C of a table, made or not."""

    title: str  # for people
    kept: Callable[[], Found | None]  # what is there already; None where something is to be made
    begun: Callable[
        [], bool
    ]  # whether a part of it is there: such a one says little about how long others take
    make: Callable[[], Found]


def in_turn(cells: Sequence[Cell], scores: Callable[[Found], str]) -> Iterator[Found]:
    """Every C of a table, those that are there as they are and the others made, with a line before and after each.

    Args:
        scores: of a C that was made, for people.
    """
    seconds: list[float] = []
    for number, cell in enumerate(cells, 1):
        title = f"[{number:2d}/{len(cells)}] {cell.title}"
        found = cell.kept()
        if found is None:
            say(f"{title} ...")
            began, afresh = time.monotonic(), not cell.begun()
            found = cell.make()
            took = time.monotonic() - began
            seconds += [took] if afresh or not seconds else []
            say(f"{title}: {scores(found)}, in {duration(took)}{_time_left(seconds, len(cells) - number)}")
        yield found


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of texts as a table, with a line under the first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def mean_error_std(score: Mapping[str, Any]) -> str:
    """`868 ± 51 (511)`: mean, its standard error, standard deviation of single episodes."""
    return f"{score['mean']:.0f} ± {score['standard_error']:.0f} ({score['std']:.0f})"


def error_is_over(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the standard errors of the actual scores are over: "seeds", "episodes", or both."""
    return " and ".join(sorted({row["actual"]["error_over"] for row in rows}))


def say(line: str) -> None:
    """A line on standard error, at once."""
    print(line, file=sys.stderr, flush=True)


def _time_left(seconds: Sequence[float], cells: int) -> str:
    """An estimate for the Cs that are left, from those that were made from beginning to end."""
    return f"; about {duration(cells * sum(seconds) / len(seconds))} left" if cells else ""
