"""Training logs of all rounds, put end to end."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldmodels.report.lenient import number
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.metrics import read_metrics


@dataclass(frozen=True, eq=False)
class Curves:
    """A log over all rounds, one after the other on one axis."""

    x: np.ndarray  # (N,) steps since the first round began
    values: dict[str, np.ndarray]  # name -> (N,), NaN where a line does not have it
    ends: dict[int, float]  # round -> where on the axis it ends

    @property
    def rounds(self) -> np.ndarray:
        """(N,) the round of each line."""
        return np.array(list(self.ends))[np.searchsorted(list(self.ends.values()), self.x, side="right")]


def numbered(folder: Path, pattern: str) -> list[tuple[int, Path]]:
    """Files whose name fits the pattern, by the number in it."""
    paths = folder.iterdir() if folder.is_dir() else ()
    found = ((re.fullmatch(pattern, path.name), path) for path in paths)
    return sorted((int(match[1]), path) for match, path in found if match)


def read_curves(folder: RunFolder, kind: str, unreadable: list[str]) -> Curves | None:
    """metrics/KIND-RR.jsonl of all rounds, None where there is none; `unreadable` gets what is wrong."""
    x: list[float] = []
    lines: list[Mapping[str, Any]] = []
    ends: dict[int, float] = {}
    begins = 0.0
    for round, path in numbered(folder.metrics(kind).parent, rf"{kind}-(\d+)\.jsonl"):
        try:
            entries = [
                line for line in read_metrics(folder, path.stem) if number(line.get("step")) is not None
            ]
        except (ValueError, TypeError, AttributeError, OSError) as error:
            unreadable.append(f"{path} has a line that is not JSON ({error}); it is left out")
            continue
        if entries:
            x += [begins + line["step"] for line in entries]
            lines += entries
            ends[round] = begins = max(x) + 1
    names = sorted({name for line in lines for name in line} - {"step"})
    columns = {name: np.array([_or_nan(line.get(name)) for line in lines]) for name in names}
    return Curves(np.array(x), columns, ends) if lines else None


def _or_nan(value: object) -> float:
    found = number(value)
    return math.nan if found is None else found
