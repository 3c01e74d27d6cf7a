"""Weights and learning rates of CMA-ES, by the names of the tutorial (Hansen, arXiv:1604.00772).

Where the tutorial and the `cma` package of its author differ, these are the package's defaults. An individual's weight
falls with its rank. Those of the worse half are negative: the search also shrinks where it was bad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rates:
    """What a search is told by, for n parameters and P individuals."""

    weights: tuple[float, ...]  # (P,) by rank, the best first; those above zero sum to 1
    mueff: float  # how many individuals the mean is as good as taken over
    c1: float  # rate of the covariances by the path of the mean
    cmu: float  # rate of the covariances by the steps of this generation
    cc: float  # rate of the path for the covariances
    cs: float  # rate of the path for the step size
    damps: float  # the larger, the more slowly the step size changes

    @property
    def parents(self) -> int:
        """Individuals with a weight above zero, which move the mean."""
        return sum(weight > 0 for weight in self.weights)

    def gap(self, n: int) -> float:
        """Generations after which the covariances of n parameters have changed enough to be decomposed anew."""
        return 1 / (self.c1 + self.cmu) / n / 10


def rates(n: int, population: int, diagonal: bool = False) -> Rates:
    """Those for n parameters; with `diagonal` for their variances alone, which are fewer and learned sooner."""
    raw = np.log((population + 1) / 2) - np.log(np.arange(1, population + 1))
    better, worse = raw[raw > 0], raw[raw <= 0]
    better = better / better.sum()
    mueff = float(1 / np.square(better).sum())
    effect = 0.25 + mueff + 1 / mueff - 2
    if diagonal:
        c1 = 1 / (n + 2 * n**0.5 + mueff / n)
        cmu = min(1 - c1, effect / (n + 4 * n**0.5 + mueff / 2))
        cc = (1 + 1 / n + mueff / n) / (n**0.5 + 1 / n + 2 * mueff / n)
    else:
        c1 = min(1, population / 6) * 2 / ((n + 1.3) ** 2 + mueff)
        cmu = min(1 - c1, 2 * effect / ((n + 2) ** 2 + mueff))
        cc = (4 + mueff / n) / (n + 4 + 2 * mueff / n)
    cs = min(0.5, (mueff + 2) / (n + mueff + 3))
    inner = max(1.0, 3 * (1 - 0.5 ** (n / 9)))
    damps = 1 + cs + 2 * max(0.0, inner * ((mueff - 1) / (n + 1)) ** 0.5 - 1)
    # The worse half takes away what the path and the better half add, and never so much that a variance ends below 0.
    against = float(worse.sum() ** 2 / np.square(worse).sum())
    limits = [1 + c1 / cmu, 1 + 2 * against / (mueff + 2)]
    if not diagonal:
        limits.append((1 - c1 - cmu) / (n * cmu))
    worse = worse * (min(limits) / -worse.sum())
    return Rates((*better.tolist(), *worse.tolist()), mueff, c1, cmu, cc, cs, damps)
