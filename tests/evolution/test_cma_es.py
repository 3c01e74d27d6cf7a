"""Our own CMA-ES beside the `cma` package: the same rates, the same way with the same numbers, as fast a climb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cma
import numpy as np
import pytest
import torch
from torch import Tensor

from worldmodels.evolution.cma_es import DeviceCMAES
from worldmodels.evolution.cma_rates import rates
from worldmodels.evolution.strategy import CMAES
from worldmodels.runs.seeds import torch_stream

Cost = Callable[[np.ndarray], np.ndarray]
"""x (P, n) -> (P,), 0 at best."""
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def sphere(x: np.ndarray) -> np.ndarray:
    return np.square(x).sum(axis=1)


def ellipsoid(x: np.ndarray) -> np.ndarray:
    """Axes a thousand times as long as others: a condition of a million."""
    return np.square(x) @ np.logspace(0, 6, x.shape[1])


def rosenbrock(x: np.ndarray) -> np.ndarray:
    return (100 * np.square(x[:, 1:] - np.square(x[:, :-1])) + np.square(1 - x[:, :-1])).sum(axis=1)


def noisy(cost: Cost, seed: int) -> Cost:
    """The same, by factors that differ from one look to the next."""
    random = np.random.default_rng(seed)
    return lambda x: cost(x) * np.exp(0.5 * random.standard_normal(len(x)))


def rotated(cost: Cost, n: int) -> Cost:
    rotation, _ = np.linalg.qr(np.random.default_rng(7).standard_normal((n, n)))
    return lambda x: cost(x @ rotation)


def evaluations(strategy: CMAES | DeviceCMAES, cost: Cost, target: float = 1e-8, most: int = 1000) -> int:
    """How many it takes until one is below the target; every one of `most` generations where none is."""
    evaluated = 0
    for _ in range(most):
        population = np.asarray(strategy.ask(), np.float64)
        evaluated += len(population)
        costs = cost(population)
        if costs.min() < target:
            break
        strategy.tell(-costs)
    return evaluated


# Whose rates are compared: from 300 parameters on the package has another rule (TPA), without these.
PATH_LENGTH: dict[str, Any] = {"AdaptSigma": cma.sigma_adaptation.CMAAdaptSigmaCSA, "verbose": -9}


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize(
    ("n", "population"), [(867, 64), (1088, 64), (1088, 32), (10, 10), (5, 7), (4, 64), (3, 40)]
)
def test_weights_and_rates_are_those_of_the_package(n: int, population: int, diagonal: bool):
    options = {**PATH_LENGTH, "popsize": population, "CMA_diagonal": diagonal}
    theirs: Any = cma.CMAEvolutionStrategy(np.zeros(n), 0.1, options)
    step_size = theirs.adapt_sigma.initialize(theirs)
    found, kind = rates(n, population, diagonal), "_sep" if diagonal else ""
    same = {"rtol": 1e-12, "atol": 0}
    np.testing.assert_allclose(found.weights, theirs.sp.weights, **same)
    assert found.parents == theirs.sp.weights.mu
    expected = [theirs.sp.weights.mueff, *(getattr(theirs.sp, name + kind) for name in ("c1", "cmu", "cc"))]
    np.testing.assert_allclose([found.mueff, found.c1, found.cmu, found.cc], expected, **same)
    np.testing.assert_allclose([found.cs, found.damps], [step_size.cs, step_size.damps], **same)
    if not diagonal:
        np.testing.assert_allclose(found.gap(n), theirs.sm.lazy_update_gap, **same)


@pytest.mark.parametrize(
    ("n", "population", "diagonal", "generations"),
    [(8, 12, False, 80), (8, 12, True, 80), (40, 6, False, 80), (300, 24, False, 16), (300, 24, True, 40)],
)
def test_with_the_same_numbers_it_goes_the_way_of_the_package(
    n: int, population: int, diagonal: bool, generations: int
):
    """From 300 parameters on by its other rule for the step size; 40 of them are decomposed every other time."""
    start, sigma, seed, generation = np.full(n, 5.0), 0.1, 3, 0
    ours = DeviceCMAES(start, sigma, population, seed, diagonal)

    def normal(rows: int, columns: int) -> np.ndarray:
        """Ours draws all at once: the first row is as long as the test points are, the second is not used."""
        random = torch_stream(seed, "cma", generation)
        drawn = torch.randn((population, columns), generator=random, dtype=torch.float64).numpy()
        return drawn[:1] if rows == 1 else drawn[population - rows :]

    def decomposed(covariances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        variances, axes = torch.linalg.eigh(torch.tensor(covariances))
        return variances.numpy(), axes.numpy()

    options = {"verbose": -9, "popsize": population, "randn": normal, "seed": np.nan, "tolfun": 0, "tolx": 0}
    options |= {"CMA_diagonal": diagonal, "CMA_eigenmethod": decomposed}
    theirs: Any = cma.CMAEvolutionStrategy(start, sigma, options)
    assert isinstance(theirs.adapt_sigma, cma.sigma_adaptation.CMAAdaptSigmaTPA) == (n >= 300)
    if not diagonal:  # from variances that differ: axes of equal ones are anybody's choice
        variances = np.linspace(0.5, 2, n)
        theirs.sm.C, theirs.sm.D, theirs.sm.B = np.diag(variances), np.sqrt(variances), np.eye(n)
        ours._covariances, ours._lengths = (
            torch.from_numpy(part.copy()) for part in (theirs.sm.C, theirs.sm.D)
        )
    paused = 0  # generations in which the path did not feed the covariances
    for generation in range(generations):  # noqa: B007 - `normal` reads it
        expected = np.asarray(theirs.ask())
        np.testing.assert_allclose(ours.ask().numpy(), expected, rtol=1e-6, atol=1e-6 * theirs.sigma)
        ranks = np.argsort(
            np.argsort(np.square(expected) @ np.logspace(0, 3, n))
        )  # of equals each has its own
        theirs.tell(expected, ranks.astype(np.float64).tolist())
        ours.tell(-ranks)
        assert ours.sigma == pytest.approx(theirs.sigma, rel=1e-9)
        paused += not theirs.adapt_sigma.hsig(theirs)
    assert 0 < paused < generations or n == 300


CLIMBS: dict[str, tuple[Cost, int, float, float]] = {
    "sphere": (sphere, 10, 1.0, 0.5),
    "ellipsoid": (ellipsoid, 10, 1.0, 0.5),
    "rosenbrock": (rosenbrock, 8, 0.0, 0.3),
    "noisy sphere": (noisy(sphere, 1), 10, 1.0, 0.5),
}


@pytest.mark.parametrize("name", CLIMBS)
def test_it_climbs_as_fast_as_the_package(name: str):
    cost, n, start, sigma = CLIMBS[name]
    needed = {
        kind: np.median([evaluations(kind(np.full(n, start), sigma, 20, seed), cost) for seed in range(3)])
        for kind in (CMAES, DeviceCMAES)
    }
    assert needed[CMAES] < 12_000
    assert needed[CMAES] / 1.5 < needed[DeviceCMAES] < 1.5 * needed[CMAES]


def test_variances_alone_are_learned_sooner_where_that_is_enough():
    """On an ellipsoid whose axes are the parameters' own; on a rotated one they are of no use."""
    n, start = 20, np.ones(20)

    def needed(cost: Cost, diagonal: bool) -> int:
        return evaluations(DeviceCMAES(start, 0.5, 12, 1, diagonal), cost, most=500)

    alone = needed(ellipsoid, True)
    theirs = evaluations(CMAES(start, 0.5, 12, 1, True), ellipsoid)
    assert theirs / 1.5 < alone < 1.5 * theirs
    most = 500 * 12
    assert 1.3 * alone < most
    assert needed(ellipsoid, False) == needed(rotated(ellipsoid, n), True) == most, "neither gets there"


def test_a_rotated_hill_is_climbed_as_fast():
    def needed(cost: Cost) -> float:
        return float(
            np.median([evaluations(DeviceCMAES(np.ones(5), 0.5, 14, seed), cost) for seed in range(3)])
        )

    assert needed(rotated(ellipsoid, 5)) == pytest.approx(needed(ellipsoid), rel=0.25)


@pytest.mark.parametrize("diagonal", [False, True])
def test_only_ranks_are_heard(diagonal: bool):
    """Bit for bit the same way for any fitness that ranks the same, told from the device or from the host."""
    a, b = (DeviceCMAES(np.full(6, 0.5), 0.3, 9, 2, diagonal) for _ in range(2))
    for _ in range(30):
        asked = a.ask()
        assert torch.equal(asked, b.ask())
        fitness = -rosenbrock(np.asarray(asked, np.float64)).astype(np.float32)
        a.tell(torch.from_numpy(fitness))
        b.tell(3 + fitness.astype(np.float64) / (1 + np.abs(fitness.astype(np.float64))))
    assert a.sigma == b.sigma
    assert np.array_equal(a.mean, b.mean)


def test_what_is_told_is_kept_as_it_was():
    strategy, fitness = DeviceCMAES(np.zeros(3), 0.1, 4, seed=0), torch.arange(4.0)
    assert strategy.told == []
    strategy.ask()
    strategy.tell(fitness)
    fitness.zero_()
    assert np.array_equal(strategy.told, [[0, 1, 2, 3]])
    assert strategy.told[0].dtype == np.float32


def test_variances_stay_positive_on_a_long_way():
    """Where almost all parameters make no difference, and the path grows for hundreds of generations."""
    strategy = DeviceCMAES(np.zeros(12), 0.1, 6, seed=0)
    for _ in range(400):
        strategy.tell(strategy.ask()[:, 0])
    assert bool((torch.linalg.eigvalsh(strategy._covariances) > 0).all())
    assert np.isfinite(strategy.mean).all()
    assert strategy.mean[0] > 1000


@needs_gpu
@pytest.mark.parametrize("diagonal", [False, True])
def test_on_a_gpu_a_replay_stands_where_the_other_stood(diagonal: bool):
    def hill(x: Tensor) -> Tensor:
        return -(x - 1).square() @ torch.logspace(0, 3, x.shape[1], device=x.device)

    n = 320  # where the step size goes by two points
    through, resumed = (DeviceCMAES(np.zeros(n), 0.3, 16, 4, diagonal, "cuda") for _ in range(2))
    for _ in range(60):
        asked = through.ask()
        assert asked.is_cuda
        assert asked.dtype == torch.float32
        through.tell(hill(asked))
    resumed.replay(np.stack(through.told))
    assert resumed.sigma == through.sigma
    assert torch.equal(resumed.ask(), through.ask())
    climbed = hill(torch.stack([torch.from_numpy(through.mean), torch.zeros(n)]))
    assert climbed[0] > 0.9 * climbed[1]


@needs_gpu
def test_a_gpu_and_a_cpu_learn_the_same_of_the_same_population():
    """The moves of one generation, from the numbers that the CPU drew."""
    on_cpu, on_gpu = (DeviceCMAES(np.zeros(30), 0.3, 12, 4, device=device) for device in ("cpu", "cuda"))
    fitness = -on_cpu.ask().square().sum(dim=1)
    on_gpu.ask()
    on_gpu._z, on_gpu._y = on_cpu._z.cuda(), on_cpu._y.cuda()
    for strategy in (on_cpu, on_gpu):
        strategy.tell(fitness)
    np.testing.assert_allclose(on_gpu.mean, on_cpu.mean, rtol=1e-6)
    assert on_gpu.sigma == pytest.approx(on_cpu.sigma, rel=1e-12)
    torch.testing.assert_close(on_gpu._covariances.cpu(), on_cpu._covariances)
