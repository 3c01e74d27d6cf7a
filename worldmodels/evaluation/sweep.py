"""Tables of further Cs: what those of several evolution seeds earn, pooled for each temperature or whatever differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# One C: what differs, as "temperature", "evolution_seed", and its scores, as "actual".
Cell = Mapping[str, Any]


def pooled(
    cells: Sequence[Cell], by: str = "temperature", worlds: Sequence[str] = ("dream", "actual")
) -> list[dict[str, Any]]:
    """One row for each value of `by`, the lowest first: that value, "seeds", and the scores of each world pooled."""
    rows = []
    for value in sorted({cell[by] for cell in cells}):
        here = [cell for cell in cells if cell[by] == value]
        scores = {world: pool([cell[world] for cell in here]) for world in worlds}
        rows.append({by: value, "seeds": len(here), **scores})
    return rows


def pool(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Scores of one world, one for each evolution seed, as one.

    Returns:
        mean: of the seeds' means. standard_error: of that mean, over the seeds where there are two or more, else over
        the episodes of the only one; `error_over` says which, "seeds" or "episodes". std: of single episodes around
        the mean of their own C, which is what the paper's ± is: sqrt(sum (n - 1) s^2 / sum (n - 1)). episodes: all.
    """
    means = np.array([score["mean"] for score in scores])
    free = np.array([score["episodes"] - 1 for score in scores])
    variance = float((free * np.square([score["std"] for score in scores])).sum() / max(1, free.sum()))
    many = len(scores) > 1
    return {
        "mean": float(means.mean()),
        "standard_error": float(means.std(ddof=1)) / math.sqrt(len(means))
        if many
        else scores[0]["standard_error"],
        "error_over": "seeds" if many else "episodes",
        "std": math.sqrt(variance),
        "episodes": int(sum(score["episodes"] for score in scores)),
    }
