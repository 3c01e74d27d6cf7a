"""CMA-ES as in N. Hansen's "The CMA Evolution Strategy: A Tutorial" (2016), with positive weights only.

The production code's library also has negative weights, and decomposes the covariances in some generations only.
"""

from __future__ import annotations

import numpy as np


class PlainCMAES:
    """Ask for a population, tell its fitness (higher is better). The names are the tutorial's.

    Args:
        mean: (n,). sigma: step size. population: individuals in each generation.
    """

    def __init__(self, mean: np.ndarray, sigma: float, population: int, random: np.random.Generator) -> None:
        n = len(mean)
        self.mean, self.sigma, self.random = np.asarray(mean, np.float64), sigma, random
        raw = np.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
        best = raw[raw > 0]
        self.population, self.weights = population, best / best.sum()  # of the best half, the best first
        self.mueff = mueff = 1 / np.sum(self.weights**2)
        self.cc = (4 + mueff / n) / (n + 4 + 2 * mueff / n)
        self.cs = (mueff + 2) / (n + mueff + 5)
        self.c1 = 2 / ((n + 1.3) ** 2 + mueff)
        self.cmu = min(1 - self.c1, 2 * (mueff - 2 + 1 / mueff) / ((n + 2) ** 2 + mueff))
        self.damps = 1 + 2 * max(0.0, np.sqrt((mueff - 1) / (n + 1)) - 1) + self.cs
        self.expected = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))  # length of a normal vector
        self.pc, self.ps, self.C = np.zeros(n), np.zeros(n), np.eye(n)
        self.generation = 0

    def ask(self) -> np.ndarray:
        """The next population (P, n)."""
        variances, self.B = np.linalg.eigh(self.C)
        self.D = np.sqrt(np.maximum(variances, 1e-20))
        z = self.random.standard_normal((self.population, len(self.mean)))
        self.y = (z * self.D) @ self.B.T
        return self.mean + self.sigma * self.y

    def tell(self, fitness: np.ndarray) -> None:
        """Fitness (P,) of the population that `ask` gave."""
        n = len(self.mean)
        self.generation += 1
        best = self.y[np.argsort(-fitness, kind="stable")[: len(self.weights)]]
        step = self.weights @ best
        self.mean = self.mean + self.sigma * step
        whitened = self.B @ ((self.B.T @ step) / self.D)
        self.ps = (1 - self.cs) * self.ps + np.sqrt(self.cs * (2 - self.cs) * self.mueff) * whitened
        length = np.linalg.norm(self.ps)
        begun = np.sqrt(1 - (1 - self.cs) ** (2 * self.generation))
        calm = float(length / begun < (1.4 + 2 / (n + 1)) * self.expected)
        self.pc = (1 - self.cc) * self.pc + calm * np.sqrt(self.cc * (2 - self.cc) * self.mueff) * step
        kept = 1 - self.c1 - self.cmu + (1 - calm) * self.c1 * self.cc * (2 - self.cc)
        rank_mu = (best * self.weights[:, None]).T @ best
        self.C = kept * self.C + self.c1 * np.outer(self.pc, self.pc) + self.cmu * rank_mu
        self.sigma *= float(np.exp(self.cs / self.damps * (length / self.expected - 1)))
