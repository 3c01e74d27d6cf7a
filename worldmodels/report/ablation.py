"""What C needs, as a run folder keeps it: the scores of Cs that see more or less of V and M."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worldmodels.errors import UserError
from worldmodels.report.data import Scores, scores
from worldmodels.report.lenient import listed, mapping, number, numbers, whole
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder

LABELS = {
    "z": "z alone",
    "z-hidden": "z, hidden layer",
    "zh": "z and h",
    "zh-untrained": "z and h, untrained M",
    "zch": "z, c and h",
    "zch-untrained": "z, c and h, untrained M",
}


@dataclass(frozen=True)
class Row:
    """What the Cs of one kind scored, pooled over evolution seeds."""

    features: str
    seeds: int
    actual: Scores
    game_steps: int | None  # of an evolution
    episodes: Sequence[float]  # scores of single ones, of all seeds
    means: Sequence[float]  # one for each seed

    @property
    def label(self) -> str:
        """The kind for people."""
        return LABELS.get(self.features, self.features)


@dataclass(frozen=True)
class Ablation:
    """evaluation/ablation.json, with one row at least."""

    rows: Sequence[Row]
    budget: Mapping[str, int | None]  # generations, population, repeats, horizon (ticks)
    by_gradient: bool = False


def read_ablation(folder: RunFolder, unreadable: list[str]) -> Ablation | None:
    """None where there is none; `unreadable` gets what is wrong."""
    try:
        content = mapping(read_json(folder.ablation)) if folder.ablation.exists() else {}
    except UserError as error:
        unreadable.append(str(error))
        return None
    cells = [mapping(cell) for cell in listed(content.get("cells"))]
    rows = [row for entry in listed(content.get("table")) if (row := _row(mapping(entry), cells))]
    budget = {name: whole(content.get(name)) for name in ("generations", "population", "repeats", "horizon")}
    return Ablation(rows, budget, content.get("search") == "gradient") if rows else None


def _row(entry: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]) -> Row | None:
    features, actual = entry.get("features"), scores(mapping(entry.get("actual")))
    if actual is None or not isinstance(features, str):
        return None
    here = [mapping(cell.get("actual")) for cell in cells if cell.get("features") == features]
    means = [mean for score in here if (mean := number(score.get("mean"))) is not None]
    episodes = [value for score in here for value in numbers(score.get("scores"))]
    seeds = whole(entry.get("seeds")) or len(here)
    return Row(features, seeds, actual, whole(entry.get("game_steps")), episodes, means)
