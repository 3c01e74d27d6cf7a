"""Under which conditions a part is measured, and what a timing becomes: a rate beside its floor and the plain one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from worldmodels.bench.costs import Cost
from worldmodels.bench.measurement import Budget, Measurement, Timing, timed
from worldmodels.bench.peaks import Peaks, copy_gb_s, floor_seconds, product_gflops
from worldmodels.experiments import Experiment


@dataclass(frozen=True)
class Conditions:
    """The settings that are measured, and where."""

    experiment: Experiment  # a paper's preset
    device: torch.device
    budget: Budget
    peaks: Peaks  # when the bench began
    paces: list[float] = field(default_factory=list)  # GFLOP/s of f32 products after each part
    latest: dict[str, float] = field(default_factory=dict)  # after the last part, by the fields of Peaks

    def timed(self, call: Callable[[], Any], budget: Budget | None = None) -> Timing:
        """Seconds of a call, until the device has done what it was told."""
        return timed(waiting(call, self.device), budget or self.budget)


def waiting(call: Callable[[], Any], device: torch.device) -> Callable[[], Any]:
    """`call`, which returns when a GPU has done its work."""
    if device.type != "cuda":
        return call

    def whole() -> None:
        call()
        torch.cuda.synchronize(device)

    return whole


def patient(budget: Budget, seconds: float) -> Budget:
    """The budget for calls that are expected to take so many seconds: fewer of them where they are long."""
    if seconds > budget.seconds:
        return Budget(0.0, least=1, warm_up=0)
    if seconds > budget.seconds / budget.least:
        return replace(budget, least=3, warm_up=1)
    return budget


def rated(
    name: str,
    unit: str,
    amount: float,
    timing: Timing,
    *,
    plain: tuple[float, Timing] | None = None,
    floor: tuple[float, str] | None = None,
    note: str = "",
) -> Measurement:
    """A rate, of calls that do `amount` units each.

    Args:
        plain: the same of the plain implementation: units of a call and its timing.
        floor: the least seconds of a call of `amount` units, and what sets them (`floor_of`).
    """
    least, bound = floor or (None, "")
    return Measurement(
        name,
        unit,
        amount / timing.median,
        low=amount / timing.high,
        high=amount / timing.low,
        floor=None if least is None else amount / least,
        bound=bound,
        plain=None if plain is None else plain[0] / plain[1].median,
        note=note,
    )


def lasting(
    name: str,
    timing: Timing,
    *,
    share: float = 1.0,
    plain: float | None = None,
    floor: tuple[float, str] | None = None,
    note: str = "",
) -> Measurement:
    """Seconds of something of which a timed call is a `share`; `plain` and `floor` are for the whole of it."""
    least, bound = floor or (None, "")
    median, low, high = (value / share for value in (timing.median, timing.low, timing.high))
    return Measurement(name, "seconds", median, low, high, floor=least, bound=bound, plain=plain, note=note)


def expected_floor(conditions: Conditions, cost: Cost, precision: str) -> float:
    """The least seconds that a cost should take, by the peaks when the bench began: to plan with."""
    return floor_seconds(cost, conditions.peaks, precision)[0]


def floor_of(conditions: Conditions, cost: Cost, precision: str) -> tuple[float, str]:
    """The least seconds that a cost can take here and now, and what bounds it: "products" or "copying".

    The peaks are measured again, after what was just measured: a shared machine changes its pace within minutes. Of
    those before and after it the higher ones count, since neighbours can only make a peak look lower.
    """
    device, whole = conditions.device, conditions.budget
    budget = replace(whole, seconds=whole.seconds / 5, least=min(3, whole.least), warm_up=1)
    now = {
        f"{precision}_gflops": product_gflops(precision, device, budget),
        "copy_gb_s": copy_gb_s(device, budget),
    }
    if precision == "f32":
        conditions.paces.append(now["f32_gflops"])
    first: dict[str, float] = {name: getattr(conditions.peaks, name) for name in now}
    higher: dict[str, Any] = {name: max(now[name], conditions.latest.get(name, first[name])) for name in now}
    conditions.latest.update(now)
    return floor_seconds(cost, replace(conditions.peaks, **higher), precision)
