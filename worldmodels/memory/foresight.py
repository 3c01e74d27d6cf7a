"""Heads of M that foretell latents some ticks ahead: they shape h while M learns, and no dream asks them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

UNITS = 512  # SiLU units of a head
LEAST, MOST = -8.0, 4.0  # a head's log variance is kept within these


class Foreseen(NamedTuple):
    """A normal distribution for each number of the latents that are foretold."""

    mu: Tensor  # (B, S, Z)
    logvar: Tensor  # (B, S, Z)

    def surprise(self, z: Tensor) -> Tensor:
        """Mean negative log-likelihood of latents (B, S, Z), per dimension, less a constant: (B, S), in nats."""
        logvar = self.logvar.float()
        return 0.5 * ((z - self.mu.float()).square() * torch.exp(-logvar) + logvar).mean(dim=-1)


class Foresight(nn.Module):
    """What M's memory says of z `ahead` ticks on, if it is told what will be done until then.

    The next latent is nearly the last one, whoever remembers nothing: a fireball is worth next to nothing there. Where
    it will be in a quarter of a second is for an M to say that knows how fast it comes.
    """

    def __init__(self, ahead: int, hidden_size: int, action_size: int, latent_size: int) -> None:
        super().__init__()
        self.ahead = ahead
        told = hidden_size + (ahead - 1) * action_size
        self.layers = nn.Sequential(nn.Linear(told, UNITS), nn.SiLU(), nn.Linear(UNITS, 2 * latent_size))

    def forward(self, hidden: Tensor, actions: Tensor) -> Foreseen:
        """Of each tick t for which tick t + ahead - 1 is in the sequence: the latent after that one.

        Args:
            hidden: (B, T, N), h after each tick. actions: (B, T, A), what was done in it.
        Returns:
            S = T - ahead + 1 latents of each sequence, those of (B, T + 1, Z) from number `ahead` on; S = 0 where the
            sequences are too short for one.
        """
        count = max(0, actions.shape[1] - self.ahead + 1)
        told = [hidden[:, :count], *(actions[:, later : later + count] for later in range(1, self.ahead))]
        mu, logvar = self.layers(torch.cat(told, dim=-1)).chunk(2, dim=-1)
        return Foreseen(mu, logvar.clamp(LEAST, MOST))
