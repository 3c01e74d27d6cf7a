"""One run of the bench: what is asked for, everything measured one after the other, what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from worldmodels.bench.conditions import Conditions
from worldmodels.bench.dreaming import DREAMS, SEARCHES, measure_dreaming
from worldmodels.bench.learning import measure_learning
from worldmodels.bench.measurement import Budget, Measurement
from worldmodels.bench.peaks import Peaks, measure_peaks
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.presets import preset

GAMES = ("car-racing", "take-cover")
LEARNING = ("vision_train", "vision_encode", "vision_decode", "memory_train")
SEARCHING = ("generation", *SEARCHES)
ACTUAL = ("actual_raw", "actual_agent")
STORE = ("store_write", "store_read")
NAMES = (*LEARNING, "dream", *SEARCHING, *ACTUAL, *STORE, "browser")  # what --only takes, in their order

# Seconds that a measurement takes besides twice its budget: what has to be loaded, compiled or begun; long calls.
LASTS = {
    "peaks": 4, "vision_train": 8, "memory_train": 4, "dream.1": 20, "dream.16384": 4, "dream.65536": 12,
    "generation": 20, "cma": 6, "search_device": 6, "backends": 5, "store_write": 5, "browser": 10,
}  # fmt: skip


def measurement_names() -> list[str]:
    """Every measurement of a whole run; the other backends' are beside them."""
    dreams = [f"dream.{dreams}" for dreams in DREAMS]
    actual = [f"{name}.{game.replace('-', '_')}" for name in ACTUAL for game in GAMES]
    return [*LEARNING, *dreams, *SEARCHING, *actual, *STORE, "browser"]


@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and for how long.

    Raises UserError for a name that is not measured, another game, or no time at all.
    """

    only: tuple[str, ...] = ()  # of NAMES, or one of several as in "dream.1024"; empty: everything
    seconds: float = 1.5  # of each measurement, about
    game: str = "car-racing"  # whose sizes V, M and C have
    device: str = "auto"

    def __post_init__(self) -> None:
        for name in self.only:
            if name not in (*NAMES, *measurement_names()):
                raise UserError(f"--only {name} is not measured; type one or more of {','.join(NAMES)}")
        if not 0 < self.seconds < float("inf"):
            raise UserError(f"--seconds must be a positive number, got {self.seconds:g}")
        if self.game not in GAMES:
            raise UserError(f"--game must be {' or '.join(GAMES)}, got {self.game}")

    @property
    def wanted(self) -> list[str]:
        """The measurements that are asked for, in their order."""
        asked = self.only or NAMES
        return [name for name in measurement_names() if name in asked or name.split(".")[0] in asked]


@dataclass(frozen=True)
class Report:
    """What was found."""

    machine: dict[str, Any]
    experiment: Experiment
    peaks: Peaks  # when it began
    paces: tuple[float, ...]  # GFLOP/s of f32 products beside each part, by which its floor is told
    measurements: tuple[Measurement, ...]  # all of `measurement_names`, and those of single backends


def measure(asked: BenchConfig) -> Report:
    """Measure it, with progress on standard error."""
    import torch

    from worldmodels.runs.device import choose_device
    from worldmodels.runs.machine import machine, versions
    from worldmodels.runs.progress import progress

    device = choose_device(asked.device)
    experiment, budget = preset(asked.game, "paper"), Budget(asked.seconds)
    wanted = asked.wanted
    games = [game for game in GAMES if {f"{name}.{game.replace('-', '_')}" for name in ACTUAL} & set(wanted)]
    to_come = sum(expected_seconds(name, asked.seconds) for name in ["peaks", *_told(wanted, games)])
    with progress("bench", to_come, "expected seconds") as bar:

        def on_done(name: str) -> None:
            bar.advance(expected_seconds(name, asked.seconds), measured=name)

        peaks = measure_peaks(device, budget)
        on_done("peaks")
        conditions = Conditions(experiment, device, budget, peaks)
        found = _modelled(conditions, wanted, on_done) + _others(games, wanted, budget, device, on_done)
    there = {measured.name for measured in found}
    missing = [
        Measurement(name, "", None, note="not asked for") for name in measurement_names() if name not in there
    ]
    described = {
        **machine(),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }
    return Report(described, experiment, peaks, tuple(conditions.paces), tuple(_in_order([*found, *missing])))


def _modelled(
    conditions: Conditions, wanted: Sequence[str], on_done: Callable[[str], None]
) -> list[Measurement]:
    sizes = tuple(dreams for dreams in DREAMS if f"dream.{dreams}" in wanted)
    parts = [name for name in SEARCHING if name in wanted] + ["dream"] * bool(sizes)
    return [
        *measure_learning(conditions, wanted, on_done),
        *measure_dreaming(conditions, parts, on_done, sizes),
    ]


def _others(
    games: Sequence[str],
    wanted: Sequence[str],
    budget: Budget,
    device: Any,
    on_done: Callable[[str], None],
) -> list[Measurement]:
    """The games, the disk, the page."""
    from worldmodels.bench.browser import measure_browser
    from worldmodels.bench.playing import measure_actual
    from worldmodels.bench.storing import measure_store

    found = measure_actual(games, budget, on_done, device) if games else []
    if set(STORE) & set(wanted):
        found += measure_store(budget, on_done)
    if "browser" in wanted:
        found += measure_browser(budget, on_done)
    return found


def _told(wanted: Sequence[str], games: Sequence[str]) -> list[str]:
    """Every name that `on_done` will be told."""
    from worldmodels.bench.playing import measured_names

    ours = [name for name in wanted if name.split(".")[0] not in (*ACTUAL, *STORE)]
    return [*ours, *measured_names(games), *(STORE if set(STORE) & set(wanted) else ())]


def expected_seconds(name: str, seconds: float) -> int:
    """How long a measurement takes on two cores, roughly: for the estimate of what is left."""
    return round(LASTS.get(name, LASTS.get(name.split(".")[0], 2)) + 2.5 * seconds)


def _in_order(found: Sequence[Measurement]) -> list[Measurement]:
    """As in `measurement_names`, single backends last."""
    order = {name: place for place, name in enumerate(measurement_names())}
    return sorted(found, key=lambda measured: order.get(measured.name, len(order)))
