"""Pure mathematics of M's output: for each latent dimension a mixture of K Gaussians of its own.

Paper: "MDN-RNN (M) Model" and "Appendix: Mixture Density Network + Recurrent Neural Network".
"""

from __future__ import annotations

import math
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

from worldmodels.memory.normal import normal_quantile

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


class Mixture(NamedTuple):
    """Mixtures over the next latent; every field has shape (..., Z, K)."""

    log_pi: Tensor  # unnormalised log weights (logits)
    mu: Tensor
    log_sigma: Tensor

    @classmethod
    def from_head(cls, outputs: Tensor, latent_size: int, mixtures: int) -> Mixture:
        """Split M's linear output (..., 3 * Z * K) into the three parameter sets."""
        parts = outputs.unflatten(-1, (3, latent_size, mixtures))  # (..., 3, Z, K)
        return cls(*parts.unbind(dim=-3))

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density of the next latent in nats, for each dimension: z (..., Z) -> (..., Z)."""
        deviation = (z.unsqueeze(-1) - self.mu) * torch.exp(-self.log_sigma)  # (..., Z, K)
        weighted = self.log_pi - self.log_sigma - 0.5 * deviation.square()
        # The weights are normalised by one number a mixture, and not K: that is a sixth of the time.
        total = torch.logsumexp(weighted, dim=-1) - torch.logsumexp(self.log_pi, dim=-1)  # (..., Z)
        return total - HALF_LOG_TWO_PI

    def mean(self) -> Tensor:
        """Expected next latent (..., Z), at temperature 1."""
        return (torch.softmax(self.log_pi, dim=-1) * self.mu).sum(dim=-1)

    def sample(self, uniform: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Draw z (..., Z) from one uniform number in (0, 1) per dimension.

        As in the authors' code the logits are divided by the temperature and the Gaussian noise is multiplied
        by its square root. The uniform number picks the component by inverse CDF, and what is left of it
        within the component's slice is again uniform and becomes the Gaussian noise, so that one number does
        for both. The noise ends at 4.75 sigma.

        Args:
            uniform: (..., Z) in (0, 1).
            temperature: > 0, one number or a tensor that broadcasts against (..., Z).

        Raises ValueError for a number that is not positive; a tensor is not looked at.
        """
        if isinstance(temperature, Tensor):
            scale: float | Tensor = temperature.sqrt()
        else:
            check_temperature(temperature)
            scale = math.sqrt(temperature)
        # K steps over (..., Z): without sums, searches and gathers along K this is all one loop to a compiler.
        logits = [logit / temperature for logit in self.log_pi.unbind(-1)]
        largest = reduce(torch.maximum, logits)
        weights = [torch.exp(logit - largest) for logit in logits]  # unnormalised
        level = uniform * reduce(torch.add, weights)
        (weight, *weights), (mu, *mus), (log_sigma, *log_sigmas) = (
            weights,
            self.mu.unbind(-1),
            self.log_sigma.unbind(-1),
        )
        lower, upper = torch.zeros_like(level), weight  # bounds of the component's slice
        for next_weight, next_mu, next_log_sigma in zip(weights, mus, log_sigmas, strict=True):
            beyond = level > upper
            lower, weight = torch.where(beyond, upper, lower), torch.where(beyond, next_weight, weight)
            mu, log_sigma = (
                torch.where(beyond, next_mu, mu),
                torch.where(beyond, next_log_sigma, log_sigma),
            )
            upper = upper + next_weight
        rest = ((level - lower) / weight).clamp(1e-6, 1 - 1e-6)
        return mu + scale * torch.exp(log_sigma) * normal_quantile(rest)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is a positive finite number."""
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(f"temperature must be a positive number, got {temperature}")
