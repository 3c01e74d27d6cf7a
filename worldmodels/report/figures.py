"""Charts of scores. Each function returns SVG, or None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from worldmodels.report.canvas import (
    ACTUAL,
    INK,
    LINE,
    MUTED,
    NUMBERS,
    OTHER,
    chart,
    chart_for_any_width,
    is_wide,
)
from worldmodels.report.data import Round, Scores
from worldmodels.report.wording import mean_and_error, points


@dataclass(frozen=True)
class Reference:
    """A score from somewhere else, to compare with."""

    label: str
    mean: float
    spread: float  # half the width of its bar


def score_ladder(rows: Sequence[tuple[str, Scores | Reference]]) -> Markup | None:
    """Means with their errors, one row each; the first row is the one that counts, and is coloured."""
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        for row, (label, score) in enumerate(rows):
            spread = score.spread if isinstance(score, Reference) else score.standard_error
            color = ACTUAL if row == 0 else OTHER
            axes.plot([0, score.mean], [row, row], color=color, linewidth=7, alpha=0.28)
            axes.errorbar(score.mean, row, xerr=spread or 0, fmt="o", color=color, markersize=9, capsize=4)
            label = f"{label}, {points(score.mean)}" + ("" if spread is None else f" ± {points(spread)}")
            axes.annotate(label, (0, row), (3, 13), textcoords="offset points", color=INK)
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.6, -0.75)
        axes.xaxis.set_major_formatter(NUMBERS)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", visible=False)

    means = "; ".join(f"{label}: {points(score.mean)}" for label, score in rows)
    return chart("score-ladder", f"Scores compared. {means}.", draw, height=56 + 44 * len(rows))


def histogram(actual: Scores | None, random: Scores | None) -> Markup | None:
    """How the returns of single episodes are spread, the agent's beside the random policy's."""
    if actual is None or not actual.scores:
        return None
    shown = [("the agent", actual, ACTUAL)]
    if random is not None and random.scores:
        shown.append(("random policy", random, OTHER))
    everything = np.concatenate([score.scores for _, score, _ in shown])
    try:
        edges = np.histogram_bin_edges(everything, bins=min(24, max(8, len(actual.scores) // 3)))
    except ValueError:  # all of them so large and so equal that no bins lie between them
        return None

    def draw(axes: Axes) -> None:
        for label, score, color in shown:
            share = np.full(len(score.scores), 100 / len(score.scores))
            axes.hist(score.scores, edges.tolist(), weights=share, color=color, alpha=0.45, linewidth=0)
            label = f"{label}: {mean_and_error(score)}, {len(score.scores)} episodes"
            axes.axvline(score.mean, color=color, linewidth=2, label=label)
            axes.plot(
                score.scores, np.full(len(score.scores), -2.2), "|", color=color, markersize=7, clip_on=False
            )
        axes.set_ylim(bottom=-4)
        axes.set_title("% of the episodes")
        axes.set_xlabel("score of an episode")
        axes.xaxis.set_major_formatter(NUMBERS)
        axes.grid(axis="x", visible=False)
        axes.figure.legend(loc="outside upper left", ncols=2 if is_wide(axes) else 1)

    alt = "; ".join(f"{label}: mean {mean_and_error(score)}" for label, score, _ in shown)
    return chart_for_any_width("histogram", f"Histogram of scores. {alt}.", draw, 330)


def dream_against_actual(rounds: Sequence[Round], episode_steps: int | None) -> Markup | None:
    """Each round's controller: what it earned in the dream, across, and in the game, upwards.

    Args:
        episode_steps: of an actual episode. The dream scores are then shown for as many steps, and a line
            shows where they equal the actual ones, and open dots what it earned in the dreams of other Ms; with None
            they are shown as they are.
    """
    known = [(r.number, _dream_points(r, episode_steps), r.actual) for r in rounds]
    known = [(number, dreamt, actual) for number, dreamt, actual in known if dreamt is not None and actual]
    if not known:
        return None
    _, dreamt, actual = zip(*known, strict=True)
    others = [
        (x * episode_steps / 1000, r.actual.mean)
        for r in rounds
        for x in r.others
        if episode_steps and r.actual
    ]
    across = [*dreamt, *(x for x, _ in others), 0]
    ends = [*across, *(score.mean for score in actual)]

    def draw(axes: Axes) -> None:
        if episode_steps:
            dashes = (0, (4, 3))
            axes.axline((0, 0), slope=1, color=MUTED, linewidth=1, linestyle=dashes, label="dream = actual")
            if others:
                hollow = {"facecolors": "none", "edgecolors": ACTUAL, "label": "in another M's dream"}
                axes.scatter(*zip(*others, strict=True), s=36, zorder=2, **hollow)
            axes.figure.legend(loc="outside upper left")
        axes.plot(dreamt, [score.mean for score in actual], color=LINE, linewidth=1.2, zorder=1)
        for round, x, score in known:
            axes.errorbar(
                x, score.mean, yerr=score.standard_error or 0, fmt="o", color=ACTUAL, markersize=8, capsize=4
            )
            axes.annotate(str(round), (x, score.mean), (9, 7), textcoords="offset points", color=INK)
        margin = 0.08 * (max(ends) - min(ends) or 1)
        axes.set_xlim(min(across) - margin, max(across) + margin * 1.5)
        axes.set_title("actual score")
        axes.set_xlabel(f"dream score for {episode_steps:,} steps" if episode_steps else "dream score")
        axes.xaxis.set_major_formatter(NUMBERS)
        axes.yaxis.set_major_formatter(NUMBERS)
        axes.xaxis.set_major_locator(MaxNLocator(5))

    alt = "; ".join(f"round {n}: dream {points(x)}, actual {mean_and_error(score)}" for n, x, score in known)
    if others:
        alt += "; in other Ms' dreams " + ", ".join(points(x) for x, _ in others)
    return chart("dream-against-actual", f"Dream score against actual score. {alt}.", draw, height=360)


def _dream_points(round: Round, episode_steps: int | None) -> float | None:
    if episode_steps is None:
        return None if round.dream is None else round.dream.mean
    return None if round.per_1000_steps is None else round.per_1000_steps * episode_steps / 1000
