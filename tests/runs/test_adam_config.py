"""What the optimisation loop is told: rates that fall, nonsense refused, the precision of its products."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.runs.optimise import AdamConfig, autocast

CONFIG = AdamConfig(steps=45, batch_size=8, learning_rate=0.05, final_learning_rate=0.001)


@given(st.integers(1, 500), st.floats(1e-6, 1.0), st.floats(0.001, 1.0))
def test_the_learning_rate_falls_from_the_first_to_the_last(steps: int, rate: float, fraction: float):
    config = AdamConfig(steps, 1, learning_rate=rate, final_learning_rate=rate * fraction)
    rates = [config.rate(step) for step in range(steps)]
    assert rates[0] == pytest.approx(rate)
    assert steps == 1 or rates[-1] == pytest.approx(rate * fraction)
    assert all(a >= b for a, b in pairwise(rates))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 0}, "steps and batch_size must be at least 1, got 0 and 8"),
        ({"batch_size": 0}, "got 45 and 0"),
        ({"learning_rate": 0.0001}, "learning rates must fall: got 0.0001 down to 0.001"),
        ({"final_learning_rate": 0.0}, "learning rates must fall: got 0.05 down to 0.0"),
        ({"precision": "f16"}, "precision must be auto, f32 or bf16, got 'f16'"),
    ],
)
def test_nonsense_is_refused(settings: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        replace(CONFIG, **settings)


@pytest.mark.parametrize(("precision", "dtype"), [("f32", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_is_that_of_the_products(precision: str, dtype: torch.dtype):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_precision_auto_is_mixed_where_the_processor_multiplies_it(monkeypatch: pytest.MonkeyPatch):
    for able, dtype in (
        ({"amx_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": False, "avx512_bf16": False, "avx512_f": True}, torch.float32),
        ({}, torch.float32),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        with autocast(torch.device("cpu"), "auto"):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
