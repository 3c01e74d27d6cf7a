"""The chart of what C needs: single episodes of Cs that see more or less, a strip for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from worldmodels.report.ablation import Ablation
from worldmodels.report.canvas import ACTUAL, INK, NUMBERS, OTHER, chart_for_any_width
from worldmodels.report.published import Published
from worldmodels.report.wording import mean_and_error, points

MOST_DOTS = 200  # in a strip; more episodes are shown by as many of their quantiles
GOLDEN = 0.618034  # steps of it, wrapped, fill an interval evenly


def ablation_chart(ablation: Ablation | None, published: Mapping[str, Published]) -> Markup | None:
    """Scores of single episodes in the actual game, a row for each kind, with the mean and its standard error.

    Args:
        published: scores of others by kind, drawn as hollow squares with no bars: theirs are standard deviations.
    """
    if ablation is None:
        return None
    rows = ablation.rows

    def draw(axes: Axes) -> None:
        named = False
        for height, row in enumerate(rows):
            dots = shown(row.episodes)
            spread = height + 0.3 * ((GOLDEN * np.arange(len(dots))) % 1 - 0.5)
            axes.plot(dots, spread, ".", color=ACTUAL, alpha=0.3, markersize=5)
            if len(row.means) > 1:
                axes.plot(row.means, [height] * len(row.means), "|", color=ACTUAL, markersize=16)
            error = row.actual.standard_error or 0
            axes.errorbar(row.actual.mean, height, xerr=error, fmt="o", color=ACTUAL, markersize=9, capsize=4)
            if theirs := published.get(row.features):
                label = None if named else theirs.label
                axes.plot(
                    theirs.actual[0],
                    height,
                    "s",
                    color=OTHER,
                    fillstyle="none",
                    markersize=9,
                    label=label,
                )
                named = True
            text = f"{row.label}, {mean_and_error(row.actual)}"
            axes.annotate(
                text,
                (0, height),
                (3, 21),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=INK,
            )
        if named:
            axes.figure.legend(loc="outside upper left")
        axes.set_ylim(len(rows) - 0.6, -0.6)
        axes.set_yticks([])
        axes.set_xlabel("score of an episode of the actual game")
        axes.xaxis.set_major_formatter(NUMBERS)
        axes.xaxis.set_major_locator(MaxNLocator(5))

    alt = "; ".join(f"{row.label}: {points(row.actual.mean)}" for row in rows)
    height = 90 + 75 * len(rows)
    return chart_for_any_width("ablation", f"Scores by what C sees. {alt}.", draw, height)


def shown(episodes: Sequence[float]) -> np.ndarray:
    """Scores (N,) to draw, or where there are too many MOST_DOTS of their quantiles, in an order of no meaning."""
    if len(episodes) <= MOST_DOTS:
        return np.array(episodes, float)
    quantiles = np.quantile(episodes, (np.arange(MOST_DOTS) + 0.5) / MOST_DOTS)
    return quantiles[np.argsort((GOLDEN * np.arange(MOST_DOTS)) % 1)]
