"""Pooling over evolution seeds, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worldmodels.evaluation.sweep import pool, pooled


def score(returns: list[float]) -> dict[str, float]:
    std = float(np.std(returns, ddof=1)) if len(returns) > 1 else 0.0
    return {
        "mean": float(np.mean(returns)),
        "std": std,
        "standard_error": std / len(returns) ** 0.5,
        "episodes": len(returns),
    }


def test_one_seed_is_its_own_score():
    one = score([1.0, 5.0, 9.0])
    assert pool([one]) == {**one, "error_over": "episodes"}


def test_seeds_are_averaged_and_the_error_is_that_of_their_means():
    found = pool([score([0.0, 2.0]), score([4.0, 8.0]), score([10.0, 10.0])])
    assert found["mean"] == pytest.approx((1 + 6 + 10) / 3)
    assert found["standard_error"] == pytest.approx(np.std([1, 6, 10], ddof=1) / 3**0.5)
    assert found["error_over"] == "seeds"
    assert found["episodes"] == 6
    assert found["std"] == pytest.approx(((2 + 8 + 0) / 3) ** 0.5)


@given(
    st.lists(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=6), min_size=2, max_size=5),
    st.floats(-1e3, 1e3),
)
def test_how_good_a_seed_is_does_not_widen_its_episodes(seeds: list[list[float]], better: float):
    """The pooled deviation is that within Cs: adding points to all episodes of one C leaves it."""
    moved = [[value + better for value in seeds[0]], *seeds[1:]]
    a, b = pool([score(s) for s in seeds]), pool([score(s) for s in moved])
    assert b["std"] == pytest.approx(a["std"], abs=1e-6)
    assert b["mean"] == pytest.approx(a["mean"] + better / len(seeds), abs=1e-6)


def test_a_single_episode_has_no_deviation():
    assert pool([score([3.0])])["std"] == 0
    assert pool([score([3.0]), score([5.0])])["std"] == 0


def test_rows_are_temperatures_from_the_coldest_on():
    cells = [
        {
            "temperature": tau,
            "evolution_seed": seed,
            "dream": score([tau, tau]),
            "actual": score([seed, seed]),
        }
        for seed in range(2)
        for tau in (1.0, 0.1)
    ]
    rows = pooled(cells[:3])
    assert [(row["temperature"], row["seeds"]) for row in rows] == [(0.1, 1), (1.0, 2)]
    assert rows[1]["actual"]["mean"] == 0.5
    assert rows[0]["dream"]["mean"] == 0.1
    assert pooled([]) == []
