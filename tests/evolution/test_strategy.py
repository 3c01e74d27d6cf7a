"""CMA-ES: it climbs, the same seed climbs the same way, and a replay stands where the other stood."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from worldmodels.evolution.strategy import CMAES

Fitness = Callable[[np.ndarray], np.ndarray]


def sphere(x: np.ndarray) -> np.ndarray:
    """Best, 0, at (1, 1, ...): x (P, n) -> (P,)."""
    return -np.square(x.astype(np.float64) - 1).sum(axis=1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    """A long bent ridge to its best, 0, at (1, 1, ...): x (P, n) -> (P,)."""
    x = x.astype(np.float64)
    return -(100 * np.square(x[:, 1:] - np.square(x[:, :-1])) + np.square(1 - x[:, :-1])).sum(axis=1)


def climb(strategy: CMAES, fitness: Fitness, generations: int) -> float:
    """Fitness of the mean at the end."""
    for _ in range(generations):
        strategy.tell(fitness(strategy.ask()).astype(np.float32))
    return float(fitness(strategy.mean[None])[0])


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_climbs_the_sphere(diagonal: bool, seed: int):
    strategy = CMAES(np.zeros(10), 0.5, 16, seed, diagonal)
    assert climb(strategy, sphere, 120) > -1e-6
    assert strategy.sigma < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_it_climbs_the_rosenbrock_ridge(seed: int):
    start = np.full(5, -0.5)
    assert climb(CMAES(start, 0.3, 16, seed), rosenbrock, 300) > -1e-5
    assert rosenbrock(start[None])[0] < -100


def test_the_paper_deploys_the_mean_of_the_distribution():
    strategy = CMAES(np.arange(4.0), 0.1, 8, seed=0)
    assert strategy.mean.tolist() == [0, 1, 2, 3]
    assert strategy.sigma == 0.1
    population = strategy.ask()
    assert population.shape == (8, 4)
    assert population.dtype == strategy.mean.dtype == np.float32
    assert np.abs(population - np.arange(4)).std() < 0.2


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_same_seed_asks_for_the_same_and_another_for_another(diagonal: bool):
    a, b, other = (CMAES(np.zeros(6), 0.1, 8, seed, diagonal) for seed in (0, 0, 1))
    for _ in range(20):
        asked = a.ask()
        assert np.array_equal(asked, b.ask())
        assert not np.array_equal(asked, other.ask())
        for strategy in (a, b, other):
            strategy.tell(sphere(asked))


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e9])  # the latter: differences that single precision does not keep
def test_a_replay_stands_where_the_uninterrupted_strategy_stands(diagonal: bool, offset: float):
    """Bit for bit, from the fitnesses as a file keeps them."""
    through = CMAES(np.zeros(6), 0.3, 8, seed=4, diagonal=diagonal)
    for _ in range(25):
        through.tell(rosenbrock(through.ask()) + offset)
    stored = np.stack(through.told)
    assert stored.shape == (25, 8)
    assert stored.dtype == np.float32
    resumed = CMAES(np.zeros(6), 0.3, 8, seed=4, diagonal=diagonal)
    resumed.replay(stored)
    assert np.array_equal(np.stack(resumed.told), stored)
    for _ in range(25):
        assert np.array_equal(resumed.mean, through.mean)
        assert resumed.sigma == through.sigma
        asked = through.ask()
        assert np.array_equal(resumed.ask(), asked)
        for strategy in (through, resumed):
            strategy.tell(rosenbrock(asked) + offset)


def test_global_random_numbers_are_left_alone_and_make_no_difference():
    def asked() -> np.ndarray:
        strategy = CMAES(np.zeros(6), 0.3, 8, seed=4)
        for _ in range(10):
            strategy.tell(sphere(strategy.ask()))
        return strategy.ask()

    np.random.seed(5)  # noqa: NPY002 - the legacy state is what cma would touch
    random.seed(5)
    before, python_before = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    first = asked()
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert str(before) == str(after)
    assert random.getstate() == python_before
    np.random.seed(6)  # noqa: NPY002
    assert np.array_equal(asked(), first)


def test_a_flat_fitness_is_no_reason_to_stop():
    strategy = CMAES(np.zeros(6), 0.1, 8, seed=0)
    for _ in range(60):
        strategy.ask()
        strategy.tell(np.zeros(8, np.float32))
    assert np.isfinite(strategy.ask()).all()
    assert np.isfinite(strategy.sigma)


def test_a_fitness_that_is_no_number_is_never_the_best():
    def broken(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, 0] > 0, np.nan, sphere(x))

    strategy = CMAES(np.full(4, -0.5), 0.3, 16, seed=0)
    for _ in range(60):
        strategy.tell(broken(strategy.ask()).astype(np.float32))
    assert strategy.mean[0] < 0.05, "the side where it breaks was not climbed"
    assert np.abs(strategy.mean[1:] - 1).max() < 0.1
