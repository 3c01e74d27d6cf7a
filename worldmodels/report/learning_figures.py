"""Charts of how V, M and C learned. Each function returns SVG, or None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from worldmodels.report.canvas import (
    ACTUAL,
    DREAM,
    LINE,
    MUTED,
    NUMBERS,
    PAPER,
    chart,
    chart_for_any_width,
    is_wide,
)
from worldmodels.report.data import Round
from worldmodels.report.lenient import listed, mapping, number, numbers
from worldmodels.report.logs import Curves
from worldmodels.report.wording import mean_and_error, points


def loss_curve(
    curves: Curves | None, name: str, alt: str, *, log: bool = False, width: int = 360
) -> Markup | None:
    """One column of a training log over all rounds: every value, and their running mean."""
    if curves is None or name not in curves.values or not np.isfinite(curves.values[name]).any():
        return None
    known = np.isfinite(curves.values[name])
    x, y = curves.x[known], curves.values[name][known]
    log = log and bool((y > 0).all())

    def draw(axes: Axes) -> None:
        axes.plot(x, y, color=DREAM, linewidth=1, alpha=0.3)
        axes.plot(x, _running_mean(y), color=DREAM)
        if log:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif len(y) >= 20:  # the first values may tower over all that follow
            low, high = y.min(), np.percentile(y[len(y) // 20 :], 99.5)
            axes.set_ylim(low - 0.06 * (high - low or 1), high + 0.06 * (high - low or 1))
        axes.yaxis.set_major_formatter(NUMBERS)
        axes.set_xlabel("training steps")
        _mark_rounds(axes, curves)

    return chart(f"loss-{name}", f"{alt} Last value {y[-1]:.3g}.", draw, width, 210)


def fitness_scale(
    curves: Curves | None, settings: Mapping[str, Any], episode_steps: int | None
) -> tuple[np.ndarray, str]:
    """Factor for each generation that makes returns of short dreams comparable with whole episodes; its unit.

    The length of the dreams may change from round to round. Where it is unknown, or an episode has no fixed
    length, the factors are 1.
    """
    x = np.zeros(0) if curves is None else curves.x
    repeat = number(settings.get("action_repeat")) or 0
    horizons = [h * repeat for h in numbers(listed(mapping(settings.get("rounds")).get("horizons")))]
    if curves is None or episode_steps is None or not horizons or min(horizons) <= 0:
        return np.ones(len(x)), "points"
    scale = np.ones(len(x))
    for round in curves.ends:
        steps = horizons[min(round, len(horizons) - 1)]  # the last one holds for all further rounds
        scale[curves.rounds == round] = episode_steps / steps
    return scale, f"points in {episode_steps:,} steps of the game"


def evolution_curve(
    curves: Curves | None,
    rounds: Sequence[Round],
    scale: np.ndarray,
    unit: str,
    in_the_game: Collection[int] = (),
) -> Markup | None:
    """Best, mean and worst of each generation over all rounds, with each round's actual score at its end.

    Args:
        scale: factor of each generation that turns fitness into `unit`, the unit of the actual scores.
        in_the_game: the rounds whose generations lived in the actual game, and not in a dream.
    """
    if curves is None or not {"best", "mean", "worst"} <= curves.values.keys():
        return None
    best, mean, worst = (curves.values[name] * scale for name in ("best", "mean", "worst"))
    tested = [(curves.ends[r.number], r.actual) for r in rounds if r.actual and r.number in curves.ends]
    actual = np.isin(curves.rounds, list(in_the_game))

    def draw(axes: Axes) -> None:
        for world, colour, there in (("dream", DREAM, ~actual), ("game", ACTUAL, actual)):
            if not there.any():
                continue
            low, high, middle = (np.where(there, values, np.nan) for values in (worst, best, mean))
            axes.fill_between(curves.x, low, high, color=colour, alpha=0.16, linewidth=0)
            axes.plot(curves.x, high, color=colour, linewidth=1, label=f"{world}: best")
            axes.plot(curves.x, middle, color=colour, linewidth=2.2, label=f"{world}: mean")
            dots = (0, (1, 1.5))
            axes.plot(curves.x, low, color=colour, linewidth=1, linestyle=dots, label=f"{world}: worst")
        if tested:
            x, scores = zip(*tested, strict=True)
            axes.errorbar(
                x,
                [score.mean for score in scores],
                yerr=[score.standard_error or 0 for score in scores],
                fmt="D", color=ACTUAL, markersize=8, capsize=4, markeredgecolor=PAPER, clip_on=False,
                label="actual score", zorder=5,
            )  # fmt: skip
        axes.set_title(unit, pad=24)
        axes.set_xlabel("generations")
        axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
        axes.yaxis.set_major_formatter(NUMBERS)
        axes.figure.legend(loc="outside upper left", ncols=4 if is_wide(axes) else 2)
        _mark_rounds(axes, curves)

    worlds = [name for name, there in (("the dream", ~actual), ("the game", actual)) if there.any()]
    alt = f"How C learnt in {' and in '.join(worlds)}: mean of a generation from {points(mean[0])} to "
    alt += f"{points(mean[-1])} {unit}"
    alt += "".join(
        f"; round {r.number} scored {mean_and_error(r.actual)} in the game" for r in rounds if r.actual
    )
    return chart_for_any_width("evolution", alt, draw, 400)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean over a twentieth of the curve, of fewer values at its ends."""
    half = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    centre = np.arange(len(values))
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)


def _mark_rounds(axes: Axes, curves: Curves) -> None:
    """A line where each round ends, and its number; none where there is a single round."""
    axes.grid(axis="x", visible=False)
    axes.set_xlim(0, max(curves.ends.values()))
    if len(curves.ends) < 2:
        return
    begins = 0.0
    for round, end in curves.ends.items():
        axes.axvline(begins, color=LINE, linewidth=1)
        name = f"round {round}" if len(curves.ends) <= 4 or is_wide(axes) else str(round)
        axes.annotate(
            name, ((begins + end) / 2, 1), (0, 3), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", color=MUTED, fontsize=11,
        )  # fmt: skip
        begins = end
