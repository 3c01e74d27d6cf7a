"""What a measurement is, and how a call is timed: warmed up, over and over, its median and its spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds of one call."""

    median: float
    low: float  # the quartile of the faster calls
    high: float  # the quartile of the slower ones
    calls: int

    @classmethod
    def of(cls, calls: Sequence[float]) -> Timing:
        """Of calls that took so many seconds each."""
        low, median, high = quartiles(calls)
        return cls(median, low, high, len(calls))


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper one; of a single value that value."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


@dataclass(frozen=True)
class Budget:
    """How long a call is measured: the bench as a whole has minutes, its tests have moments."""

    seconds: float = 1.5  # of each measurement, at least
    least: int = 5  # calls
    warm_up: int = 2  # calls that do not count


def timed(call: Callable[[], Any], budget: Budget) -> Timing:
    """Time a call until the budget is spent.

    Calls that work on a GPU have to wait for it themselves.
    """
    for _ in range(budget.warm_up):
        call()
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < budget.least or time.perf_counter() - began < budget.seconds:
        before = time.perf_counter()
        call()
        found.append(time.perf_counter() - before)
    return Timing.of(found)


@dataclass(frozen=True)
class Measurement:
    """One line of the bench. Rates are in `unit` a second; what is measured in seconds has the unit "seconds"."""

    name: (
        str  # as in the JSON, with dots: "vision_train", "dream.1024", "actual_raw.car_racing", "generation"
    )
    unit: str  # "frames", "ticks", "tokens", "steps", "seconds", ...
    value: float | None  # median; None where it could not be measured, and `note` says why
    low: float | None = None  # quartiles of `value`
    high: float | None = None
    floor: float | None = (
        None  # what the machine's own peaks allow, in the same unit; None where nothing is known
    )
    bound: str = ""  # what sets that floor: "products", "copying", "raw game"
    plain: float | None = None  # the plain eager implementation, in the same unit
    note: str = ""

    @property
    def fraction(self) -> float | None:
        """Share of the floor that is reached: 1 is as fast as the machine can be."""
        return self._over(self.floor)

    @property
    def ratio(self) -> float | None:
        """How many times as fast as the plain implementation."""
        return self._over(self.plain)

    def _over(self, other: float | None) -> float | None:
        if self.value is None or other is None or other <= 0 or self.value <= 0:
            return None
        return other / self.value if self.unit == "seconds" else self.value / other
