"""What the bench found, for people and for programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from worldmodels.bench.measurement import Measurement
from worldmodels.bench.run import SEARCHING, Report

HEAD = ("", "rate", "quartiles", "floor", "set by", "reached", "plain", "times plain")
LEFT = (0, 4)  # columns of words
PARTS = {
    "vision": "V", "memory": "M", "dream": "dream", "generation": "C", "cma": "C", "search": "C",
    "actual": "actual game", "backends": "its backends", "store": "disk", "browser": "page",
}  # fmt: skip
WORDS = {
    "vision_train": "training", "vision_encode": "encoding", "vision_decode": "decoding",
    "memory_train": "training", "generation": "a generation", "cma": "CMA-ES, ask and tell",
    "search_device": "ours, on the device",
    "store_write": "writing", "store_read": "reading", "browser": "dreaming in the browser",
}  # fmt: skip
KINDS = {"raw": "alone", "agent": "with the agent", "held": "with the agent, actions held"}


def as_json(report: Report) -> dict[str, Any]:
    """One object: machine, game, peaks, paces, rates, seconds, backends, fractions, ratios, spread, notes.

    What has several values is nested: {"dream": {"1024": ...}}. null is what could not be measured; `notes` says why.
    """
    lasting = set(SEARCHING)
    content: dict[str, Any] = {
        "machine": report.machine,
        "game": report.experiment.game,
        "peaks": asdict(report.peaks),
        "paces": list(report.paces),
        "rates": {}, "seconds": {}, "backends": {}, "fractions": {}, "ratios": {}, "spread": {}, "notes": {},
    }  # fmt: skip
    for measured in report.measurements:
        name, spread = measured.name, None
        if name.startswith("backends."):
            _put(content, name, measured.value)
        else:
            _put(content["seconds" if name in lasting else "rates"], name, measured.value)
        if measured.low is not None and measured.high is not None:
            spread = [measured.low, measured.high]
        _put(content["fractions"], name, measured.fraction)
        _put(content["ratios"], name, measured.ratio)
        _put(content["spread"], name, spread)
        if measured.note:
            content["notes"][name] = measured.note
    return content


def _put(tree: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
    tree[last] = value


def as_text(report: Report) -> str:
    """A table of what was measured, under the machine and its peaks."""
    measured = [row for row in report.measurements if row.unit and not _said_elsewhere(row, report)]
    numbered = {row.name: number for number, row in enumerate([row for row in measured if row.note], 1)}
    lines = [*_about(report), ""]
    cells = [HEAD] + [_row(row, numbered.get(row.name)) for row in measured]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    titles = [""] + [PARTS[row.name.split(".")[0].split("_")[0]] for row in measured]
    before = ""
    for title, row in zip(titles, cells, strict=True):
        if title != before:
            lines += ["", title]
        before = title
        padded = (
            text.ljust(width) if column in LEFT else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"  {'  '.join(padded)}".rstrip())
    lines += [""] + [f"{numbered[row.name]}) {row.note}" for row in measured if row.note]
    return "\n".join([*lines, *FOOT])


FOOT = (
    "rate: median of the calls, and between the quartiles a half of them. floor: the matrix products alone at this",
    "machine's peak, or the bytes alone at the speed at which it copies, whichever takes longer, by the higher of the",
    "peaks before and after it; in the actual game the game alone. plain: a simple eager implementation of the same.",
)


def _said_elsewhere(row: Measurement, report: Report) -> bool:
    """A game's only backend, whose figures stand there as the game's own."""
    if not row.name.startswith("backends."):
        return False
    game = row.name.split(".")[1]
    others = [other.name.split(".") for other in report.measurements]
    return len({parts[2] for parts in others if parts[:2] == ["backends", game]}) == 1


def _about(report: Report) -> list[str]:
    machine, peaks, settings = report.machine, report.peaks, report.experiment
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    where = machine["gpu"] if machine["device"] == "cuda" else machine["cpu"]
    tf32 = "" if peaks.tf32_gflops is None else f"{count(peaks.tf32_gflops)} in tf32, "
    return [
        f"{where}, {machine['cores']} cores, {threads}, PyTorch {machine['versions']['torch']}",
        f"its peaks: matrix products at {count(peaks.f32_gflops)} GFLOP/s in f32, {tf32}"
        f"{count(peaks.bf16_gflops)} in bf16; copying at {count(peaks.copy_gb_s)} GB/s{_pace(report)}",
        f"sizes of {settings.game}: V has {settings.vae.latent_size} latents, M {settings.mdn_rnn.hidden_size} units, "
        f"C {settings.controller.parameter_count:,} parameters",
    ]


def _pace(report: Report) -> str:
    """How the peak moved while everything else was measured."""
    if not report.paces:
        return ""
    return f"; beside the parts {count(min(report.paces))} to {count(max(report.paces))} in f32"


def _row(row: Measurement, note: int | None) -> tuple[str, ...]:
    lasting, mark = row.unit == "seconds", f" {note})" if note else ""
    show: Callable[[float], str] = seconds if lasting else count
    if row.value is None:
        return (_label(row.name) + mark, "-", *[""] * (len(HEAD) - 2))
    spread = "" if row.low is None or row.high is None else f"{show(row.low)} – {show(row.high)}"
    return (
        _label(row.name) + mark,
        show(row.value) if lasting else f"{show(row.value)} {row.unit}/s",
        spread,
        "" if row.floor is None else show(row.floor),
        row.bound,
        "" if row.fraction is None else percent(row.fraction),
        "" if row.plain is None else show(row.plain),
        "" if row.ratio is None else f"{row.ratio:.1f}",
    )  # fmt: skip


def _label(name: str) -> str:
    first, *rest = name.split(".")
    if first == "dream":
        return f"{int(rest[0]):,} at once"
    if first in ("actual_raw", "actual_agent"):
        return f"{_game(rest[0])}, {'alone' if first == 'actual_raw' else 'with the agent'}"
    if first == "backends":
        return f"{_game(rest[0])} by {rest[1]}, {KINDS[rest[2]]}"
    return WORDS[name]


def _game(key: str) -> str:
    return key.replace("_", "-")


def count(value: float) -> str:
    """A number of things in three digits or so: 0.52, 8.31, 742, 1,310, 21.0 k, 1.34 M."""
    for size, letter in ((1e6, " M"), (1e4, " k")):
        if value >= size:
            scaled = value / (1e6 if letter == " M" else 1e3)
            return f"{scaled:,.{max(0, 2 - len(str(int(scaled))) + 1)}f}{letter}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(value: float) -> str:
    """A duration: 320 us, 4.21 ms, 7.3 s."""
    if value < 1e-3:
        return f"{1e6 * value:.3g} us"
    return f"{1e3 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def percent(fraction: float) -> str:
    """63 %, and 0.52 % where it is little."""
    return f"{100 * fraction:.0f} %" if fraction >= 0.095 else f"{100 * fraction:.2g} %"
