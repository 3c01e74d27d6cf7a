"""Charts of the sweep over temperatures and of the meter. None, or no charts, where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from worldmodels.report.canvas import (
    ACTUAL,
    DREAM,
    MUTED,
    NUMBERS,
    OTHER,
    chart,
    chart_for_any_width,
    is_wide,
)
from worldmodels.report.data import Scores
from worldmodels.report.published import Published
from worldmodels.report.sweep import Readings, Sweep
from worldmodels.report.wording import mean_and_error, points


def temperature_chart(sweep: Sweep | None, scale: float, published: Sequence[Published]) -> Markup | None:
    """Dream score and actual score against the temperature of the dream in which C was evolved.

    Args:
        scale: factor that makes dream scores comparable with those of whole episodes.
        published: scores of others, drawn pale beside the run's own, with no bars: theirs are standard deviations.
    """
    if sweep is None or not sweep.rows:
        return None
    rows, random = sweep.rows, sweep.random
    theirs = [(row.temperature, row) for row in published if row.temperature is not None and row.dream]

    def draw(axes: Axes) -> None:
        x = [row.temperature for row in rows]
        for name, color, scored, factor in (
            ("dream", DREAM, [row.dream for row in rows], scale),
            ("actual", ACTUAL, [row.actual for row in rows], 1.0),
        ):
            axes.errorbar(
                x,
                [factor * score.mean for score in scored],
                yerr=[factor * (score.standard_error or 0) for score in scored],
                fmt="o-", color=color, markersize=7, capsize=4, label=f"{name} score",
            )  # fmt: skip
            for row in rows:
                means = [factor * mean for mean in (row.dream_means if name == "dream" else row.actual_means)]
                if len(means) > 1:
                    axes.plot([row.temperature] * len(means), means, ".", color=color, alpha=0.45)
            if theirs:
                means = [
                    row.dream[0] if name == "dream" and row.dream else row.actual[0] for _, row in theirs
                ]
                taus = [tau for tau, _ in theirs]
                label = f"{theirs[0][1].label}: {name}"
                axes.plot(
                    taus,
                    means,
                    "s",
                    color=color,
                    alpha=0.5,
                    linestyle=(0, (1, 1.5)),
                    fillstyle="none",
                    label=label,
                )
        if random is not None:
            axes.axhline(
                random.mean, color=OTHER, linewidth=1.2, linestyle=(0, (4, 3)), label="random policy"
            )
        axes.set_title("score", pad=24)
        axes.set_xlabel("temperature of the dream in which C was evolved")
        axes.yaxis.set_major_formatter(NUMBERS)
        axes.figure.legend(loc="outside upper left", ncols=5 if is_wide(axes) else 2)

    alt = "; ".join(
        f"temperature {row.temperature:.2f}: dream {points(scale * row.dream.mean)}, "
        f"actual {mean_and_error(row.actual)}"
        for row in rows
    )
    return chart_for_any_width("temperatures", f"Scores against the temperature. {alt}.", draw, 400)


def meter_charts(sweep: Sweep | None, scale: float) -> list[Markup]:
    """One chart for each temperature: dream and actual score of C while it evolved, a pair of lines for each seed."""
    readings = [] if sweep is None else list(sweep.readings)
    groups: dict[tuple[int, float | None], list[Readings]] = {}
    for reading in readings:
        groups.setdefault((reading.round, reading.temperature), []).append(reading)
    return [_meter_chart(group, scale) for group in groups.values()]


def _meter_chart(group: Sequence[Readings], scale: float) -> Markup:
    first = group[0]
    own = f"the run’s own C, round {first.round}"
    title = own if first.temperature is None else f"temperature {first.temperature:.2f}"

    def draw(axes: Axes) -> None:
        for number, reading in enumerate(group):
            x, y, error = reading.generations, reading.actual, reading.actual_error
            named = number == 0
            axes.plot(x, scale * reading.dream, ".-", color=DREAM, label="dream" if named else None)
            axes.plot(x, y, ".-", color=ACTUAL, label="actual" if named else None)
            axes.fill_between(x, y - error, y + error, color=ACTUAL, alpha=0.16, linewidth=0)
        axes.set_title(title)
        axes.set_xlabel("generations")
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.yaxis.set_major_formatter(NUMBERS)
        axes.legend(loc="best")

    last = group[0]
    alt = f"{title}: after {last.generations[-1]:.0f} generations dream {points(scale * float(last.dream[-1]))}, "
    score = Scores(float(last.actual[-1]), float(last.actual_error[-1]))
    name = f"meter-{first.round}-{'own' if first.temperature is None else f'{first.temperature:.2f}'}"
    return chart(name, f"The meter at {alt}actual {mean_and_error(score)}.", draw, 300, 230)
