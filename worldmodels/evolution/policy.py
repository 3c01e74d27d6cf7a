"""C as something that tries: noise on its outputs, and a critic beside it while it learns.

Both are scaffolding. What is deployed is C alone, the same layer of the same numbers that evolution would have found.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from worldmodels.controller.linear import ControllerConfig, outputs
from worldmodels.runs.seeds import torch_stream

CARRIED = 2.0  # how much of a layer's output a hidden unit's tanh squeezes, see `Policy._carried`
CRITIC_UNITS = (128, 64)  # tanh, of a network that foretells what a dream will still earn


class Policy(nn.Module):
    """Gaussians around C's outputs before they are squashed, and a critic, over features of even scale.

    C's features differ in size by orders of magnitude, so that equal steps of its weights are unequal steps of its
    outputs. Here its weights are those of features that are shifted and scaled; `parameters_of_c` takes both back into
    the weights. A C without biases has none to shift by and is scaled only.

    Args:
        shift, scale: (F,) mean and standard deviation of the features; with `start` on the CPU, where it is built.
        noise: first standard deviation of the Gaussians.
        seed: of the critic's weights, and of a hidden layer's, which would never move from zero.
        told: numbers that the critic is told beside the features.
        start: parameters (n,) of the C to begin at; None begins at zero. With a hidden layer it may be that of a C
            without one, of the same features: a unit for each action then does what that C did, see `_carried`.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        config: ControllerConfig,
        shift: Tensor,
        scale: Tensor,
        noise: float,
        seed: int,
        start: Tensor | None = None,
        told: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("shift", shift if config.bias else torch.zeros_like(shift))
        self.register_buffer("scale", scale)
        generator = torch_stream(seed, "policy")
        first, layer = torch.zeros(config.parameter_count), replace(config, hidden=0)
        if config.hidden and (start is None or len(start) == layer.parameter_count):
            weights = config.hidden * config.feature_size
            first[:weights] = torch.randn(weights, generator=generator) / config.feature_size**0.5
            if start is not None:
                first = self._carried(self._scaled(layer, start, 1), first)
        elif start is not None:
            first = self._scaled(config, start, 1)
        self.weights = nn.Parameter(first)  # (n,) of C over scaled features
        self.log_noise = nn.Parameter(torch.full((config.action_size,), math.log(noise)))
        sizes = (config.feature_size + told, *CRITIC_UNITS, 1)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layer = nn.Linear(before, after)
            with torch.no_grad():
                layer.weight.normal_(0, before**-0.5, generator=generator)
                layer.bias.zero_()
            layers += [layer, nn.Tanh()]
        self.critic = nn.Sequential(*layers[:-1])

    def sees(self, features: Tensor, told: Tensor) -> Tensor:
        """What both look at, made once for all passes: features (B, F), evened, and told (B, told) -> (B, F + told)."""
        return torch.cat([(features - self.shift) / self.scale, told], dim=-1)

    def means(self, seen: Tensor) -> Tensor:
        """C's outputs before they are squashed: what `sees` gives (B, F + told), of which C has F, -> (B, A)."""
        return outputs(self.config, self.weights[None], seen[None, :, : self.config.feature_size])[0]

    def values(self, seen: Tensor) -> Tensor:
        """What the critic expects to be earned from there on: what `sees` gives (..., F + told) -> (...)."""
        return self.critic(seen).squeeze(-1)

    def log_likelihood(self, means: Tensor, tried: Tensor) -> Tensor:
        """Of the outputs that were tried (B, A) under Gaussians around the means (B, A): (B,), less a constant."""
        away = (tried - means) / self.log_noise.exp()
        return -(0.5 * away.square() + self.log_noise).sum(dim=-1)

    @torch.no_grad()
    def parameters_of_c(self) -> Tensor:
        """C as it is deployed, over features as they are: (n,)."""
        return self._scaled(self.config, self.weights, -1)

    def _carried(self, layer: Tensor, parameters: Tensor) -> Tensor:
        """C's parameters (n,), where its first hidden units do what a C of one `layer` did, and the others nothing yet.

        Half of that C's output goes through a unit's tanh and is doubled behind it: outputs of up to 1, of which an
        action is more than two thirds, change by less than a tenth.
        """
        config, actions = self.config, self.config.action_size
        units, features = config.hidden, config.feature_size
        carried = parameters.clone()
        carried[: actions * features] = layer[: actions * features] / CARRIED
        behind = units * features
        if config.bias:
            carried[behind : behind + actions] = layer[actions * features :] / CARRIED
            behind += units
        carried[behind : behind + actions * units].view(actions, units)[:, :actions] = CARRIED * torch.eye(
            actions
        )
        return carried

    def _scaled(self, config: ControllerConfig, parameters: Tensor, power: int) -> Tensor:
        """C's parameters (n,) for features that are shifted and scaled (power 1), or for those as they are (-1)."""
        size, features = config.hidden or config.action_size, config.feature_size
        weights = parameters[: size * features].view(size, features)
        rest = parameters[size * features :].clone()
        scaled = weights * self.scale**power
        if config.bias:
            rest[:size] += power * (weights if power > 0 else scaled) @ self.shift
        return torch.cat([scaled.flatten(), rest])


def advantages(
    rewards: Tensor, values: Tensor, ends: Tensor, over: Tensor, discount: float, trace: float
) -> Tensor:
    """How much better than the critic expected each tick turned out to be (generalised advantage estimation).

    Args:
        rewards: (T, B). values: (T + 1, B), of the moments before each tick and after the last. ends: (T, B), the
            chance that nothing is earned after this tick, 0 or 1 where that is known. Where the end was drawn by it,
            the chance says the same as the draw on average, and does not scatter. over: (T, B) bool, the dream goes no
            further, though it might have earned more. discount: of a reward for each tick that it comes later. trace: 0
            believes the critic from the next tick on, 1 believes only rewards.
    Returns:
        (T, B).
    """
    found = torch.empty_like(rewards)
    later = torch.zeros_like(rewards[0])
    for tick in range(len(rewards) - 1, -1, -1):
        expected = discount * values[tick + 1] * (1 - ends[tick]) - values[tick]
        later = rewards[tick] + expected + discount * trace * later * ~over[tick]
        found[tick] = later
    return found


def losses(
    policy: Policy,
    clip: float,
    seen: Tensor,
    tried: Tensor,
    likelihood: Tensor,
    better: Tensor,
    target: Tensor,
    weight: Tensor,
) -> tuple[Tensor, Tensor]:
    """PPO's clipped objective with the critic's squared error, and that error alone, over the ticks that count.

    Args:
        clip: how far a pass may change the likelihood of what was tried.
        seen: (n, F + told), what `Policy.sees` gives. tried: (n, A), C's outputs with the noise.
        likelihood: (n,), the log of it when it was tried.
        better: (n,), `advantages` of even scale.
        target: (n,), what the critic is to expect.
        weight: (n,), 1 for a tick that counts and 0 for one after an episode's end.
    """
    count = weight.sum().clamp(min=1)
    ratio = (policy.log_likelihood(policy.means(seen), tried) - likelihood).exp()
    gain = torch.minimum(ratio * better, ratio.clamp(1 - clip, 1 + clip) * better)
    error = (policy.values(seen) - target).square()
    critic = (error * weight).sum() / count
    return 0.5 * critic - (gain * weight).sum() / count, critic
