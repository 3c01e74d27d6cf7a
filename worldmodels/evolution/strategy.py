"""CMA-ES by the `cma` package, resumable without pickle: its state is the list of fitnesses it was told."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from worldmodels.runs.seeds import numpy_stream


class CMAES:
    """Ask for a population, tell its fitness (higher is better).

    The same seed and fitnesses give the same strategy, bit for bit.

    Args:
        start: (n,) where the mean of the search distribution begins. sigma: its step size there.
        population: individuals in each generation (P).
        diagonal: variances only, no covariances: learned sooner, and cheaper for many parameters.
    """

    def __init__(
        self, start: np.ndarray, sigma: float, population: int, seed: int, diagonal: bool = False
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cma reports on optional plotting packages at import
            import cma
        self._random = numpy_stream(seed, "cma")
        options: dict[str, Any] = {
            "popsize": population,
            "randn": lambda *shape: self._random.standard_normal(shape),
            # NumPy's global random numbers are not seeded: `randn` draws from our own stream. From 300 parameters on
            # a check of the package's draws some; it warns or does not, and nothing of the search depends on it.
            "seed": np.nan,
            "CMA_diagonal": diagonal,
            "verbose": -9,
            "verb_log": 0,
            "verb_disp": 0,
            # Fitness is noisy and rounds are short: when to stop is ours to say.
            "tolfun": 0, "tolfunhist": 0, "tolx": 0, "tolstagnation": np.inf, "tolflatfitness": np.inf,
        }  # fmt: skip
        self._strategy = cma.CMAEvolutionStrategy(np.asarray(start, np.float64), sigma, options)
        self.told: list[np.ndarray] = []  # fitness (P,) of every generation so far

    @property
    def mean(self) -> np.ndarray:
        """Mean of the search distribution (n,) float32: what the paper deploys."""
        return np.asarray(self._strategy.mean, np.float32)

    @property
    def sigma(self) -> float:
        """Overall step size."""
        return float(self._strategy.sigma)

    def ask(self) -> np.ndarray:
        """The next population (P, n) float32."""
        self._asked = self._strategy.ask()
        return np.asarray(self._asked, np.float32)

    def tell(self, fitness: np.ndarray) -> None:
        """Fitness (P,) of the population that `ask` gave, higher is better.

        It is taken in single precision, in which it is also kept, so that a replay ranks as it was ranked.
        """
        fitness = np.array(fitness, np.float32)
        self._strategy.tell(self._asked, (-fitness.astype(np.float64)).tolist())  # cma minimises
        self.told.append(fitness)

    def replay(self, told: np.ndarray) -> None:
        """Bring a new strategy to where one stood that was told fitnesses (generations, P)."""
        for fitness in told:
            self.ask()
            self.tell(fitness)
