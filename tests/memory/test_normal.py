"""The normal quantile function against double precision."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from worldmodels.memory.normal import normal_quantile


def probabilities() -> torch.Tensor:
    tail = torch.logspace(-7, -0.31, 3000)
    return torch.cat([tail, torch.linspace(1e-6, 1 - 1e-6, 3000), 1 - tail[tail > 1e-6]])


def test_it_is_the_inverse_of_the_distribution_function_in_single_precision():
    p = probabilities()
    found, wanted = normal_quantile(p).double(), torch.special.ndtri(p.double())
    assert float(wanted.abs().max()) > 5.1
    assert_close(found, wanted, rtol=5e-7, atol=1e-7)


def test_it_is_as_precise_as_its_author_says():
    p = probabilities().double()
    assert_close(normal_quantile(p), torch.special.ndtri(p), rtol=1.5e-7, atol=1e-9)


@given(st.floats(1e-6, 0.5))
def test_it_is_odd_around_one_half(p: float):
    p = 1 - (1 - p)  # what 1 - p can hold
    below, above = normal_quantile(torch.tensor([p, 1 - p], dtype=torch.float64))
    assert float(below) == pytest.approx(-float(above), rel=1e-9, abs=1e-12)


def test_it_rises_across_its_branches():
    q = normal_quantile(torch.linspace(0.0749, 0.0751, 2000, dtype=torch.float64))
    assert bool((q[1:] - q[:-1] > -3e-7).all())
