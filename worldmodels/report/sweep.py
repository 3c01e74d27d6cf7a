"""The sweep over temperatures and the readings of the meter, as a run folder keeps them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.errors import UserError
from worldmodels.report.data import Scores, scores
from worldmodels.report.lenient import listed, mapping, number, whole
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics

METER = re.compile(r"meter-evolve-(\d+)(?:-temperature-(\d+\.\d\d))?(?:-seed-(\d+))?\.jsonl")


@dataclass(frozen=True)
class Row:
    """What the Cs of one temperature scored, pooled over evolution seeds, and the means of each."""

    temperature: float
    seeds: int
    dream: Scores
    actual: Scores
    dream_means: Sequence[float]  # one for each seed
    actual_means: Sequence[float]


@dataclass(frozen=True, eq=False)
class Readings:
    """The meter beside one evolution: what the mean scored in both worlds after so many generations."""

    round: int
    temperature: float | None  # None: the run's own C
    seed: int
    generations: np.ndarray  # (N,)
    dream: np.ndarray  # (N,) mean returns
    actual: np.ndarray  # (N,)
    actual_error: np.ndarray  # (N,) standard errors of the latter


@dataclass(frozen=True, eq=False)
class Sweep:
    """evaluation/sweep.json and metrics/meter-*.jsonl; rows and readings may each be none."""

    rows: Sequence[Row]
    random: Scores | None
    readings: Sequence[Readings]
    facts: Mapping[str, Any]  # everything else that sweep.json says

    @property
    def ticks(self) -> float | None:
        """Length of a dream."""
        return next((number(row.dream.facts.get("ticks")) for row in self.rows), None)


def read_sweep(folder: RunFolder, unreadable: list[str]) -> Sweep | None:
    """None where there is neither a sweep nor a meter; `unreadable` gets what is wrong."""
    content: Mapping[str, Any] = {}
    try:
        content = mapping(read_json(folder.sweep)) if folder.sweep.exists() else {}
    except UserError as error:
        unreadable.append(str(error))
    cells = [mapping(cell) for cell in listed(content.get("cells"))]
    rows = [row for entry in listed(content.get("table")) if (row := _row(mapping(entry), cells))]
    readings = _readings(folder, unreadable)
    if not rows and not readings:
        return None
    return Sweep(rows, scores(mapping(content.get("random"))), readings, content)


def _row(entry: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> Row | None:
    here = [cell for cell in cells if cell.get("temperature") == entry.get("temperature")]
    ticks = next((mapping(cell.get("dream")).get("ticks") for cell in here), None)
    dream = scores({**mapping(entry.get("dream")), "ticks": ticks})
    actual = scores(mapping(entry.get("actual")))
    temperature = number(entry.get("temperature"))
    if dream is None or actual is None or temperature is None:
        return None
    means = {
        world: [m for cell in here if (m := number(mapping(cell.get(world)).get("mean"))) is not None]
        for world in ("dream", "actual")
    }
    return Row(
        temperature, whole(entry.get("seeds")) or len(here), dream, actual, means["dream"], means["actual"]
    )


def _readings(folder: RunFolder, unreadable: list[str]) -> list[Readings]:
    place = folder.metrics("any").parent
    found = []
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        match = METER.fullmatch(path.name)
        if match is None:
            continue
        try:
            lines = _lines(folder, path)
        except (ValueError, TypeError, AttributeError, OSError) as error:
            unreadable.append(f"{path} has a line that is not JSON ({error}); it is left out")
            continue
        if lines:
            round, temperature, seed = match.groups()
            columns = np.array(lines).T
            found.append(
                Readings(int(round), float(temperature) if temperature else None, int(seed or 0), *columns)
            )
    return sorted(found, key=lambda reading: (reading.temperature or 0.0, reading.round, reading.seed))


def _lines(folder: RunFolder, path: Path) -> list[list[float]]:
    """Generation, dream, actual and its error of every line that has the first three."""
    lines = []
    for line in read_metrics(folder, path.stem):
        values = [number(line.get(name)) for name in ("step", "dream", "actual")]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            lines.append([*known, number(line.get("actual_error")) or 0.0])
    return lines
