"""What the machine can do, and the floor that follows."""

from __future__ import annotations

import pytest
import torch

from worldmodels.bench import conditions as measuring
from worldmodels.bench import peaks
from worldmodels.bench.conditions import expected_floor, floor_of
from worldmodels.bench.costs import Cost
from worldmodels.bench.measurement import Budget, Timing
from worldmodels.bench.peaks import Peaks, floor_seconds, measure_peaks

SHORT = Budget(seconds=0.0, least=2, warm_up=0)
KNOWN = Peaks(f32_gflops=100.0, bf16_gflops=400.0, copy_gb_s=10.0)


@pytest.mark.parametrize(
    ("cost", "precision", "floor"),
    [
        (Cost(2e11, 1e9), "f32", (2.0, "products")),
        (Cost(2e11, 1e9), "bf16", (0.5, "products")),
        (Cost(2e11, 3e10), "f32", (3.0, "copying")),
    ],
)
def test_the_floor_is_the_slower_of_products_and_copying(cost, precision, floor):
    seconds, bound = floor_seconds(cost, KNOWN, precision)
    assert (seconds, bound) == (pytest.approx(floor[0]), floor[1])


@pytest.mark.parametrize("precision", ["tf32", "f16"])
def test_a_precision_that_was_not_measured_is_refused(precision):
    with pytest.raises(ValueError, match=precision):
        KNOWN.gflops(precision)


def test_rates_are_of_the_work_that_was_timed(monkeypatch):
    sides = []
    product = peaks._product

    def timed(call, budget):
        call()
        return Timing(0.5, 0.5, 0.5, 1)

    def seen(side, dtype, device):
        sides.append((side, dtype))
        return product(side, dtype, device)

    monkeypatch.setattr(peaks, "timed", timed)
    monkeypatch.setattr(peaks, "_product", seen)
    monkeypatch.setattr(peaks, "LARGEST", 512)
    found = measure_peaks(torch.device("cpu"), SHORT, call_seconds=1e-9, copied=1 << 20)
    assert [side for side, _ in sides] == [256, 256], "a call of 256 already takes longer than asked for"
    assert {dtype for _, dtype in sides} == {torch.float32, torch.bfloat16}
    assert found.f32_gflops == pytest.approx(2 * 256**3 / 0.5 / 1e9)
    assert found.copy_gb_s == pytest.approx(2 * 2**20 / 0.5 / 1e9), "read and written"
    assert found.tf32_gflops is None


def test_products_grow_until_one_takes_its_time(monkeypatch):
    moments = iter(range(10**6))
    monkeypatch.setattr(peaks.time, "perf_counter", lambda: 1e-3 * next(moments))  # each takes a millisecond
    monkeypatch.setattr(peaks, "LARGEST", 512)
    sides = []
    product = peaks._product
    monkeypatch.setattr(
        peaks, "_product", lambda side, *more: sides.append(side) or product(min(side, 8), *more)
    )
    measure_peaks(torch.device("cpu"), SHORT, call_seconds=8e-3, copied=1024)
    assert sides == [256, 512] * 2


def test_a_floor_is_told_by_the_higher_of_the_peaks_before_and_after(conditions, monkeypatch):
    cost = Cost(operations=400e9, bytes=1e9)
    pace = {"f32": 200.0, "bf16": 100.0, "copying": 10.0}
    monkeypatch.setattr(measuring, "product_gflops", lambda precision, device, budget: pace[precision])
    monkeypatch.setattr(measuring, "copy_gb_s", lambda device, budget: pace["copying"])
    floors = []
    for pace["f32"] in (200.0, 800.0, 100.0, 100.0):
        floors.append(floor_of(conditions, cost, "f32"))
    assert floors == [(2.0, "products"), (0.5, "products"), (0.5, "products"), (4.0, "products")]
    assert conditions.paces == [200.0, 800.0, 100.0, 100.0]
    pace |= {"bf16": 50.0, "copying": 0.1}
    assert floor_of(conditions, cost, "bf16") == (4.0, "products"), "the last copying was at 10"
    assert floor_of(conditions, cost, "bf16") == (10.0, "copying")
    assert expected_floor(conditions, cost, "f32") == 2.0, "plans are by the first peaks"
