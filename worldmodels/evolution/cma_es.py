"""CMA-ES on the device of the dreams, after N. Hansen's "The CMA Evolution Strategy: A Tutorial" (arXiv:1604.00772).

On a GPU a generation of dreams takes less time than the `cma` package needs on the host to ask and to tell. Here the
whole distribution stays where the dreams are. Covariances are decomposed in some generations only, and these alone
wait for the device. Weights, rates and rules are the defaults of the package; tests hold the two to the same way.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from worldmodels.evolution.cma_rates import rates
from worldmodels.runs.seeds import torch_stream

LEAST_VARIANCE = 1e-15  # share of the largest: below it a decomposition in double precision knows nothing
LARGEST_CHANGE = 1.0  # of the logarithm of the step size in one generation, by the path's length
TWO_POINTS_FROM = 300  # parameters: from there on the step size goes by two test points, as in the package
NEWEST = 0.3  # share of a generation's own signal in that rule


class DeviceCMAES:
    """Ask for a population, tell its fitness (higher is better).

    The same seed and fitnesses give the same strategy, bit for bit, on the same machine and device. A CPU and a GPU
    draw other random numbers.

    Args:
        start: (n,) where the mean of the search distribution begins. sigma: its step size there.
        population: individuals in each generation (P).
        diagonal: variances only, no covariances: learned sooner, and cheaper for many parameters.
        device: where the distribution lives and the population is wanted.
    """

    def __init__(
        self,
        start: np.ndarray,
        sigma: float,
        population: int,
        seed: int,
        diagonal: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        n, self._seed, self._diagonal, self._device = len(start), seed, diagonal, torch.device(device)
        self._rates = rates(n, population, diagonal)
        self._gap = self._rates.gap(n)
        self._weights = torch.tensor(self._rates.weights, dtype=torch.float64, device=device)  # (P,)
        self._mean = torch.from_numpy(np.array(start, np.float64)).to(device)  # (n,)
        self._sigma = torch.tensor(sigma, dtype=torch.float64, device=device)
        self._pc, self._ps = torch.zeros_like(self._mean), torch.zeros_like(self._mean)  # the two paths
        # Standard deviations along the axes, which are the columns; a diagonal search has the parameters' own.
        self._lengths = torch.ones_like(self._mean)  # (n,)
        if not diagonal:
            self._axes = torch.eye(n, dtype=torch.float64, device=device)  # (n, n)
            self._covariances = self._axes.clone()  # (n, n), of which the lower triangle is read
        self._decomposed = 0  # the generation in which that was done last
        self._two_points = n >= TWO_POINTS_FROM
        self._signal = torch.zeros_like(self._sigma)  # of the two points, averaged
        self._step = torch.zeros_like(self._mean)  # (n,) of the mean, in units of the step size
        self._told: list[Tensor] = []  # fitness (P,) float32 of every generation so far

    @property
    def told(self) -> list[np.ndarray]:
        """Fitness (P,) float32 of every generation so far. It is read from the device."""
        return list(torch.stack(self._told).cpu().numpy()) if self._told else []

    @property
    def mean(self) -> np.ndarray:
        """Mean of the search distribution (n,) float32: what the paper deploys. It is read from the device."""
        return self._mean.float().cpu().numpy()

    @property
    def sigma(self) -> float:
        """Overall step size. It is read from the device."""
        return float(self._sigma)

    def ask(self) -> Tensor:
        """The next population (P, n) float32 on the device; the same one until its fitness is told."""
        generation = len(self._told)
        if not self._diagonal and generation >= self._decomposed + self._gap:
            self._decompose()
        random = torch_stream(self._seed, "cma", generation, device=self._device)
        shape = (len(self._weights), len(self._mean))
        self._z = torch.randn(shape, generator=random, dtype=torch.float64, device=self._device)
        if self._two_points and generation > 0:
            # The first two go on where the mean went last, and back, as far as others go.
            went = self._whitened(self._step)
            ahead = went * (self._z[0].norm() / went.norm())
            self._z[0], self._z[1] = ahead, -ahead
        self._y = self._z * self._lengths
        if not self._diagonal:
            self._y = self._y @ self._axes.T
        return (self._mean + self._sigma * self._y).float()

    def tell(self, fitness: np.ndarray | Tensor) -> None:
        """Fitness (P,) of the population that `ask` gave, on the device or the host, higher is better.

        It is taken in single precision, in which it is also kept, so that a replay ranks as it was ranked.
        """
        fitness = torch.as_tensor(fitness).to(self._device, torch.float32, copy=True)
        self._told.append(fitness)
        ranked = torch.nan_to_num(fitness, nan=-math.inf, posinf=math.inf, neginf=-math.inf)
        order = torch.argsort(ranked, descending=True, stable=True)
        z, y = self._z[order], self._y[order]  # (P, n)
        parents, mueff, cs = self._rates.parents, self._rates.mueff, self._rates.cs
        weights = self._weights[:parents]
        step, isotropic = weights @ y[:parents], weights @ z[:parents]  # (n,)
        self._step = step
        if not self._diagonal:
            isotropic = self._axes @ isotropic  # the step, by the inverse root of the covariances
        self._mean = self._mean + self._sigma * step
        self._ps = (1 - cs) * self._ps + math.sqrt(cs * (2 - cs) * mueff) * isotropic
        calm = self._is_calm()
        if self._diagonal:
            self._learn_variances(calm, isotropic, z)
        else:
            self._learn_covariances(calm, step, z, y)
        change = self._change_by_points(ranked) if self._two_points else self._change_by_path()
        self._sigma = self._sigma * change.exp()

    def replay(self, told: np.ndarray) -> None:
        """Bring a new strategy to where one stood that was told fitnesses (generations, P)."""
        for fitness in told:
            self.ask()
            self.tell(fitness)

    def _change_by_path(self) -> Tensor:
        """Of the logarithm of the step size: longer where steps agree, shorter where they cancel out."""
        longer = self._ps.norm() / _expected_length(len(self._mean)) - 1
        return (self._rates.cs / self._rates.damps * longer).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)

    def _change_by_points(self, fitness: Tensor) -> Tensor:
        """The same: longer where going on ranks better than going back."""
        (population,), n = fitness.shape, len(self._mean)
        ahead = ((fitness > fitness[1]).sum() - (fitness > fitness[0]).sum()).double() / (population - 1)
        self._signal = (1 - NEWEST) * self._signal + NEWEST * ahead.sign() * ahead.abs().sqrt()
        return self._signal / (0.7 + 2 * math.log(n) + 2 * math.log(max(1, population - n)))

    def _whitened(self, y: Tensor) -> Tensor:
        """A step (n,) along the axes, in units of their standard deviations: the numbers that `ask` makes it of."""
        return (y if self._diagonal else y @ self._axes) / self._lengths

    def _is_calm(self) -> Tensor:
        """1.0, or 0.0 while the step size has yet to grow: the path must not feed the variances then."""
        n = len(self._mean)
        begun = 1 - (1 - self._rates.cs) ** (2 * len(self._told))
        return (self._ps.square().sum() / begun / n < 2 + 4 / (n + 1)).double()

    def _follow(self, calm: Tensor, step: Tensor) -> Tensor:
        """Go on with the path of the mean. Returns the rate c1, less what a path that stood still has lost (tensor)."""
        c1, cc = self._rates.c1, self._rates.cc
        self._pc = (1 - cc) * self._pc + calm * math.sqrt(cc * (2 - cc) * self._rates.mueff) * step
        return c1 * (1 - (1 - calm) * cc * (2 - cc))

    def _learn_covariances(self, calm: Tensor, step: Tensor, z: Tensor, y: Tensor) -> None:
        c1, cmu = self._follow(calm, step), self._rates.cmu
        kept = 1 - c1 - cmu * sum(self._rates.weights)
        # What is taken away is of the length that a normal vector has in the mean, so that variances stay positive.
        shortened = z.shape[1] / (z.norm(dim=1) + 1e-9).square()  # (P,)
        weights = cmu * torch.where(self._weights < 0, self._weights * shortened, self._weights)
        weights = torch.cat([torch.full_like(weights[:1], self._rates.c1), weights])  # (1 + P,)
        rows = torch.cat([self._pc.unsqueeze(0), y])  # (1 + P, n)
        self._covariances.mul_(kept).addmm_((weights.unsqueeze(1) * rows).T, rows)

    def _learn_variances(self, calm: Tensor, step: Tensor, z: Tensor) -> None:
        """In units of the variances themselves, and so by factors, which are positive whatever the weights."""
        c1 = self._follow(calm, step)
        learned = c1 * (self._pc.square() - 1) + self._rates.cmu * (self._weights @ (z.square() - 1))
        self._lengths = self._lengths * (math.log(2) / 2 * learned).exp()

    def _decompose(self) -> None:
        variances, self._axes = torch.linalg.eigh(self._covariances)  # ascending; reads the lower triangle
        self._lengths = torch.maximum(variances, LEAST_VARIANCE * variances[-1]).sqrt()
        self._decomposed = len(self._told)


def _expected_length(n: int) -> float:
    """Of a vector of n standard normal numbers."""
    return math.sqrt(2) * math.exp(math.lgamma((n + 1) / 2) - math.lgamma(n / 2))
