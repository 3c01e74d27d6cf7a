"""CMA-ES, the package's and our own: it climbs, the same seed climbs the same way, and a replay stands where the other
stood.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from worldmodels.evolution.cma_es import DeviceCMAES
from worldmodels.evolution.strategy import CMAES

Fitness = Callable[[np.ndarray], np.ndarray]
Kind = type[CMAES] | type[DeviceCMAES]
both_kinds = pytest.mark.parametrize("kind", [CMAES, DeviceCMAES])


def sphere(x: np.ndarray) -> np.ndarray:
    """Best, 0, at (1, 1, ...): x (P, n) -> (P,)."""
    return -np.square(x.astype(np.float64) - 1).sum(axis=1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    """A long bent ridge to its best, 0, at (1, 1, ...): x (P, n) -> (P,)."""
    x = x.astype(np.float64)
    return -(100 * np.square(x[:, 1:] - np.square(x[:, :-1])) + np.square(1 - x[:, :-1])).sum(axis=1)


def climb(strategy: CMAES | DeviceCMAES, fitness: Fitness, generations: int) -> float:
    """Fitness of the mean at the end."""
    for _ in range(generations):
        strategy.tell(fitness(np.asarray(strategy.ask())).astype(np.float32))
    return float(fitness(strategy.mean[None])[0])


@both_kinds
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_it_climbs_the_sphere(kind: Kind, diagonal: bool, seed: int):
    strategy = kind(np.zeros(10), 0.5, 16, seed, diagonal)
    assert climb(strategy, sphere, 120) > -1e-6
    assert strategy.sigma < 0.01


@pytest.mark.parametrize("seed", range(3))
def test_it_climbs_the_rosenbrock_ridge(seed: int):
    start = np.full(5, -0.5)
    assert climb(CMAES(start, 0.3, 16, seed), rosenbrock, 300) > -1e-5
    assert rosenbrock(start[None])[0] < -100


@both_kinds
def test_the_paper_deploys_the_mean_of_the_distribution(kind: Kind):
    strategy = kind(np.arange(4.0), 0.1, 8, seed=0)
    assert strategy.mean.tolist() == [0, 1, 2, 3]
    assert strategy.sigma == 0.1
    population = np.asarray(strategy.ask())
    assert population.shape == (8, 4)
    assert population.dtype == strategy.mean.dtype == np.float32
    assert np.abs(population - np.arange(4)).std() < 0.2


@both_kinds
@pytest.mark.parametrize("diagonal", [False, True])
def test_the_same_seed_asks_for_the_same_and_another_for_another(kind: Kind, diagonal: bool):
    a, b, other = (kind(np.zeros(6), 0.1, 8, seed, diagonal) for seed in (0, 0, 1))
    for _ in range(20):
        asked = np.asarray(a.ask())
        assert np.array_equal(asked, b.ask())
        assert not np.array_equal(asked, other.ask())
        for strategy in (a, b, other):
            strategy.tell(sphere(asked))


@both_kinds
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e9])  # the latter: differences that single precision does not keep
def test_a_replay_stands_where_the_uninterrupted_strategy_stands(kind: Kind, diagonal: bool, offset: float):
    """Bit for bit, from the fitnesses as a file keeps them."""
    through = kind(np.zeros(6), 0.3, 8, seed=4, diagonal=diagonal)
    for _ in range(25):
        through.tell(rosenbrock(np.asarray(through.ask())) + offset)
    stored = np.stack(through.told)
    assert stored.shape == (25, 8)
    assert stored.dtype == np.float32
    resumed = kind(np.zeros(6), 0.3, 8, seed=4, diagonal=diagonal)
    resumed.replay(stored)
    assert np.array_equal(np.stack(resumed.told), stored)
    for _ in range(25):
        assert np.array_equal(resumed.mean, through.mean)
        assert resumed.sigma == through.sigma
        asked = np.asarray(through.ask())
        assert np.array_equal(resumed.ask(), asked)
        for strategy in (through, resumed):
            strategy.tell(rosenbrock(asked) + offset)


@both_kinds
def test_global_random_numbers_are_left_alone_and_make_no_difference(kind: Kind):
    def asked() -> np.ndarray:
        strategy = kind(np.zeros(6), 0.3, 8, seed=4)
        for _ in range(10):
            strategy.tell(sphere(np.asarray(strategy.ask())))
        return np.asarray(strategy.ask())

    np.random.seed(5)  # noqa: NPY002 - the legacy state is what cma would touch
    random.seed(5)
    torch_before = torch.random.get_rng_state()
    before, python_before = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    first = asked()
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert str(before) == str(after)
    assert random.getstate() == python_before
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    np.random.seed(6)  # noqa: NPY002
    assert np.array_equal(asked(), first)


@both_kinds
def test_a_flat_fitness_is_no_reason_to_stop(kind: Kind):
    strategy = kind(np.zeros(6), 0.1, 8, seed=0)
    for _ in range(60):
        strategy.ask()
        strategy.tell(np.zeros(8, np.float32))
    assert np.isfinite(np.asarray(strategy.ask())).all()
    assert np.isfinite(strategy.sigma)


@both_kinds
def test_a_fitness_that_is_no_number_is_never_the_best(kind: Kind):
    def broken(x: np.ndarray) -> np.ndarray:
        return np.where(x[:, 0] > 0, np.nan, sphere(x))

    strategy = kind(np.full(4, -0.5), 0.3, 16, seed=0)
    for _ in range(60):
        strategy.tell(broken(np.asarray(strategy.ask())).astype(np.float32))
    assert strategy.mean[0] < 0.05, "the side where it breaks was not climbed"
    assert np.abs(strategy.mean[1:] - 1).max() < 0.1
