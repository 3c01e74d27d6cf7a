"""A picture of what the bench found: dreams a second by their number, and how much of its floor each part reaches."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from worldmodels.bench.measurement import Measurement
from worldmodels.bench.run import Report
from worldmodels.errors import UserError
from worldmodels.runs.files import write_atomically

KINDS = (".svg", ".png")
OURS, FLOOR, PLAIN, LINE = "#2563a8", "#9a3412", "#6b7280", "#e5e7eb"
BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # of a text, so that no line runs through it
NAMES = {
    "vision_train": "V learns", "vision_encode": "V encodes", "vision_decode": "V decodes",
    "memory_train": "M learns", "generation": "a generation", "cma": "CMA-ES", "search_device": "CMA-ES, ours",
    "actual_agent.car_racing": "agent, car-racing", "actual_agent.take_cover": "agent, take-cover",
}  # fmt: skip


def check_plot(path: Path) -> None:
    """UserError unless it is a name of a picture that can be drawn."""
    if path.suffix not in KINDS:
        raise UserError(f"--plot must end in {' or '.join(KINDS)}, got {path}")


def write_plot(path: Path, report: Report) -> None:
    """Draw it. The file is written aside and renamed; UserError where it cannot be."""
    check_plot(path)
    dreams = [row for row in report.measurements if row.name.startswith("dream.") and row.value]
    bars = [row for row in report.measurements if row.name in NAMES and row.fraction is not None]
    bars += [max(dreams, key=lambda row: row.fraction or 0.0)] if dreams else []
    with mpl.rc_context({"font.size": 10.0, "svg.hashsalt": "bench", "axes.spines.top": False}):
        figure = Figure(figsize=(11, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_dreams(left, dreams)
        draw_fractions(right, bars)
        buffer = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(buffer, format=path.suffix[1:], dpi=150, metadata=metadata)
    write_atomically(path, buffer.getvalue())


def draw_dreams(axes: Axes, rows: Sequence[Measurement]) -> None:
    """Ticks a second against how many dreams are dreamt at once."""
    numbers = [int(row.name.split(".")[1]) for row in rows]
    for label, color, style, values in (
        ("floor", FLOOR, "--", [row.floor for row in rows]),
        ("this code", OURS, "o-", [row.value for row in rows]),
        ("plain", PLAIN, "o-", [row.plain for row in rows]),
    ):
        shown = [(number, value) for number, value in zip(numbers, values, strict=True) if value]
        if shown:
            axes.plot(*zip(*shown, strict=True), style, color=color, label=label, markersize=4)
    if rows:
        axes.set(xscale="log", yscale="log", xlabel="dreams at once")
        axes.set_xticks(numbers, [f"{number:,}" for number in numbers], rotation=45)
        axes.minorticks_off()
        axes.legend(frameon=False)
    axes.set_title("ticks of dreams a second", loc="left")
    axes.grid(color=LINE)
    axes.set_axisbelow(True)
    axes.spines[["right"]].set_visible(False)


def draw_fractions(axes: Axes, rows: Sequence[Measurement]) -> None:
    """How much of its floor each part reaches, and how many times the plain one's speed that is."""
    for place, row in enumerate(rows):
        fraction = row.fraction or 0.0
        axes.barh(place, fraction, color=OURS, height=0.62)
        times = "" if row.ratio is None else f", {row.ratio:.1f} × plain"
        axes.text(
            fraction + 0.01, place, f"{100 * fraction:.0f} %{times}", va="center", fontsize=9, bbox=BEHIND
        )
    axes.axvline(1, color=FLOOR, linestyle="--", zorder=2)
    axes.set_yticks(range(len(rows)), [_name(row) for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, max([1.25, *(1.3 * (row.fraction or 0.0) for row in rows)]))
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "floor"])
    axes.set_title("share of what the machine allows", loc="left")
    axes.spines[["right", "left"]].set_visible(False)
    axes.tick_params(left=False)


def _name(row: Measurement) -> str:
    return NAMES.get(row.name) or f"{int(row.name.split('.')[1]):,} dreams"
