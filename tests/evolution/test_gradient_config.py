"""How C is told to learn by policy gradient: the noise and rate of each generation, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from worldmodels.evolution.ppo import GradientConfig

GRADIENT = GradientConfig()


def test_the_noise_falls_by_an_even_factor_and_the_rate_with_it_and_at_last_to_zero():
    gradient = replace(GRADIENT, noise=0.4, last_noise=0.05, learning_rate=0.01)
    paces = [gradient.pace(number, 8) for number in range(8)]
    noises, rates = zip(*(pace for pace in paces if pace is not None), strict=True)
    np.testing.assert_allclose(noises, [0.4, 0.4 / 2**0.5, 0.2, 0.2 / 2**0.5, 0.1, 0.1 / 2**0.5, 0.05, 0.05])
    np.testing.assert_allclose(rates, [noise / 40 for noise in noises[:7]] + [0.05 / 80])
    assert gradient.pace(0, 1) == (0.4, 0.01), "a single one is the first one"
    assert GRADIENT.pace(3, 5) is None


@pytest.mark.parametrize(
    "setting",
    [
        {"dreams": 0},
        {"games": 0},
        {"last_noise": 0.0},
        {"noise": 0.3, "last_noise": 0.4},
        {"jerk_cost": -0.1},
        {"discount": 1.0},
        {"trace": 1.5},
        {"noise": 0.0},
        {"clip": -1.0},
        {"learning_rate": 0.0},
    ],
)
def test_nonsense_is_refused(setting):
    with pytest.raises(ValueError, match="gradient"):
        GradientConfig(**setting)
