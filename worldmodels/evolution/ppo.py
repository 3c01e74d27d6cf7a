"""A generation of learning by policy gradient (PPO, Schulman et al. 2017): live, and learn from every tick of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.policy import Policy, advantages, losses
from worldmodels.evolution.trying import TOLD, Dreamers, Players, Tried, side_by_side
from worldmodels.runs.seeds import stream, torch_stream
from worldmodels.worlds.state import World, goes_on

LOOKED_AT = 160  # ticks in which the features' scale is measured
LARGEST_GRADIENT = 0.5  # norm of a step's gradient
FALLS = 0.75  # share of the generations by which the noise has fallen; in the rest C's rate falls to zero
LEAST_SCALE = 1e-3  # of a feature: what never moves is not blown up


@dataclass(frozen=True)
class GradientConfig:
    """How C learns where the search is "gradient".

    A generation is `dreams` x `ticks` of dream, or `games` whole episodes of the actual game, each of at most
    rounds.horizons ticks.
    """

    dreams: int = 512  # at once; those that end begin anew
    ticks: int = 64  # of each between two updates
    games: int = 32  # whole episodes of a generation, where C learns in the actual game
    discount: float = 0.99  # of a reward for each tick that it comes later
    # Whether an episode's last tick is the end of everything, as in a game's score: then the critic is told how late it
    # is, what has been earned and what was missed, expects nothing more at the end, and a discount of 1 makes sense.
    # False: the critic knows no time, and a cut-off episode might have gone on for ever.
    finite: bool = False
    trace: float = 0.95  # lambda of the advantages
    noise: float = 0.5  # first standard deviation of what is tried, on C's outputs before tanh
    # The last one: for three quarters of the generations the noise falls to it by an even factor, and C's rate with
    # it; in the last quarter the rate falls to zero. C comes to lean on a noise that stays, and earns less without
    # it. None: the noise is learnt, and the rate stays.
    last_noise: float | None = None
    learning_rate: float = 3e-4  # of C and the noise
    critic_rate: float = 1e-3  # learning rate of the critic
    epochs: int = 4  # passes over a generation's ticks, at most
    most_change: float = 0.02  # KL divergence of what is tried from what was, at which the passes end
    batch_size: int = 4096  # ticks
    clip: float = 0.2  # how far a pass may change the likelihood of what was tried
    reward_scale: float = 0.1  # of the critic's unit
    jerk_cost: float = 0.0  # taken off each tick for |action - action before|^2, in the game's units
    # Where C learns in the actual game: taken off for each tile of the road in the moment in which it is left behind
    # untouched. The game itself asks for it at the end, when a lap with a tile missing goes on to the last step.
    missed: float = 0.0
    # The same where it learns in a dream. M knows of no tiles: what a tick without reward leaves behind (dream.missed)
    # is taken for them.
    dream_missed: float = 0.0

    def __post_init__(self) -> None:
        if min(self.dreams, self.ticks, self.games, self.epochs, self.batch_size) < 1:
            raise ValueError(
                f"gradient.dreams, ticks, games, epochs and batch_size must be at least 1, got {self}"
            )
        for name in ("jerk_cost", "missed", "dream_missed"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"gradient.{name} must not be negative, got {getattr(self, name)}")
        if self.last_noise is not None and not 0 < self.last_noise <= self.noise:
            raise ValueError(
                f"gradient.last_noise must lie above 0 and not above gradient.noise, which is {self.noise}, got "
                f"{self.last_noise}"
            )
        if not (0 <= self.discount <= 1 and 0 <= self.trace <= 1):
            raise ValueError(f"gradient needs discount and trace in [0, 1], got {self}")
        if self.discount == 1 and not self.finite:
            raise ValueError("gradient.discount must be below 1 unless gradient.finite is true")
        sizes = (
            self.noise,
            self.learning_rate,
            self.critic_rate,
            self.most_change,
            self.clip,
            self.reward_scale,
        )
        if min(sizes) <= 0:
            raise ValueError(f"all sizes and rates of gradient must be above 0, got {self}")

    def pace(self, number: int, generations: int) -> tuple[float, float] | None:
        """The noise of a generation and C's learning rate in it, of so many generations; None where it is learnt."""
        if self.last_noise is None:
            return None
        falls = FALLS * generations
        noise = self.noise * (self.last_noise / self.noise) ** min(1.0, number / falls)
        left = min(1.0, (generations - number) / (generations - falls))
        return noise, self.learning_rate * noise / self.noise * left


class Learning:
    """C, the critic and their dreams, a generation at a time.

    Args:
        worlds: dreams, which go on from generation to generation, or one of actual games, which are played whole.
        generations: how many there will be, by which the noise falls.
        start: parameters (n,) of the C to begin at, on the CPU; None begins at zero.
        seed, round: name the random streams.
        saved: where another one stood (`state`), to go on from there; None looks at the features first.
    """

    def __init__(
        self,
        config: ControllerConfig,
        gradient: GradientConfig,
        worlds: Sequence[World],
        generations: int,
        start: Tensor | None,
        seed: int,
        round: int,
        saved: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.gradient, self.generations, self.seed, self.round = gradient, generations, seed, round
        self.device = worlds[0].device
        self.dreamers = [
            Dreamers(world, config, gradient.jerk_cost, gradient.dream_missed, gradient.finite)
            if goes_on(world)
            else Players(world, config, gradient.jerk_cost, gradient.missed, gradient.finite)
            for world in worlds
        ]
        dreams = goes_on(worlds[0])
        self.ticks = gradient.ticks if dreams else worlds[0].horizon
        self.episodes = gradient.dreams if dreams else gradient.games
        self._begin()
        size = config.feature_size  # what was saved knows the scale: no game is played for it again
        even = torch.zeros(size), torch.ones(size)
        shift, scale = self._scale_of_features(config, start) if saved is None else even
        first = stream(seed, "policy", round)
        told = TOLD if gradient.finite else 0
        self.policy = Policy(config, shift, scale, gradient.noise, first, start, told).to(self.device)
        self.policy.log_noise.requires_grad_(gradient.last_noise is None)
        self._learning = dict(self.policy.named_parameters())
        critic = list(self.policy.critic.parameters())
        of_c = [self.policy.weights, self.policy.log_noise]
        groups = [
            {"params": of_c, "lr": gradient.learning_rate},
            {"params": critic, "lr": gradient.critic_rate},
        ]
        self._adam = torch.optim.Adam(groups, fused=True)
        for parameter in self._learning.values():  # as Adam would at its first step
            averages = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
            self._adam.state[parameter] = {"step": torch.zeros((), device=self.device), **averages}
        self._begin()
        if saved is not None:
            self._put_back(saved)

    def generation(self, number: int) -> dict[str, float]:
        """Dream or play, and learn from it: numbers of the episodes that ended, and of what was learnt."""
        gradient = self.gradient
        if (pace := gradient.pace(number, self.generations)) is not None:
            noise, self._adam.param_groups[0]["lr"] = pace
            with torch.no_grad():
                self.policy.log_noise.fill_(math.log(noise))
        for index, those in enumerate(self.dreamers):
            those.begin_anew(self._seeds(number, index, len(those.over)))
        tried = [
            those.live(self.policy, noise, gradient.reward_scale)
            for those, noise in zip(self.dreamers, self._noise(number), strict=True)
        ]
        data = self._examples(side_by_side(tried))
        generator = torch_stream(self.seed, "gradient-batches", self.round, number, device=self.device)
        critic, change = data[0].new_zeros(()), 0.0
        for _ in range(gradient.epochs):
            order = torch.randperm(len(data[0]), generator=generator, device=self.device)
            for rows in order.split(gradient.batch_size):
                critic = self._step([part[rows] for part in data])
            change = self._change(data)
            if not math.isfinite(change):
                raise UserError(
                    f"C's learning diverged in generation {number}: type the command again with a "
                    f"gradient.learning_rate below {gradient.learning_rate}"
                )
            if change > gradient.most_change:
                break
        returns = torch.cat([those.earned[those.over] for those in self.dreamers])
        if len(returns) == 0:  # none has ended: what they have so far
            returns = torch.cat([those.earned for those in self.dreamers])
        return {
            "best": float(returns.max()),
            "mean": float(returns.mean()),
            "worst": float(returns.min()),
            "sigma": self.noise,
            "critic": float(critic),
            "change": change,
        }

    @property
    def noise(self) -> float:
        """Mean standard deviation of what is tried."""
        return float(self.policy.log_noise.detach().exp().mean())

    def parameters_of_c(self) -> np.ndarray:
        """C as it is now: (n,) float32."""
        return self.policy.parameters_of_c().cpu().numpy()

    def state(self) -> dict[str, Tensor]:
        """Everything the next generation depends on."""
        saved = {f"policy.{name}": tensor for name, tensor in self.policy.state_dict().items()}
        for index, those in enumerate(self.dreamers):
            saved |= {f"dreams.{index}.{part}": tensor for part, tensor in enumerate(those.state)}
        for name, parameter in self._learning.items():
            saved |= {f"adam.{key}.{name}": value for key, value in self._adam.state[parameter].items()}
        return saved

    def _put_back(self, saved: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken."""
        self.policy.load_state_dict({name: saved[f"policy.{name}"] for name in self.policy.state_dict()})
        for index, those in enumerate(self.dreamers):
            those.state = tuple(saved[f"dreams.{index}.{part}"] for part in range(len(those.state)))
        for name, parameter in self._learning.items():
            for key, value in self._adam.state[parameter].items():
                value.copy_(saved[f"adam.{key}.{name}"])

    def _begin(self) -> None:
        """Begin all dreams: each world has its share of them."""
        for index, those in enumerate(self.dreamers):
            share = len(range(index, self.episodes, len(self.dreamers)))
            those.begin(self._seeds(-1, index, share))

    def _seeds(self, number: int, world: int, count: int) -> list[int]:
        return [stream(self.seed, "gradient-dreams", self.round, number, world, i) for i in range(count)]

    def _noise(self, number: int) -> list[Tensor]:
        """Of a generation, for the dreams of each world: (T, B, A), of unit variance."""
        generator = torch_stream(self.seed, "gradient-noise", self.round, number, device=self.device)
        shapes = [(self.ticks, *those.before.shape) for those in self.dreamers]
        return [torch.randn(shape, generator=generator, device=self.device) for shape in shapes]

    def _scale_of_features(self, config: ControllerConfig, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (F,), on the CPU, of what C sees while it tries wildly, from where it begins."""
        size, device = config.feature_size, self.device
        wild = Policy(config, torch.zeros(size), torch.ones(size), 1.0, self.seed, start).to(device)
        total, squares = (torch.zeros(size, dtype=torch.float64, device=device) for _ in range(2))
        count = torch.zeros((), dtype=torch.float64, device=device)
        for number in range(-(-LOOKED_AT // self.ticks)):
            for those, noise in zip(self.dreamers, self._noise(-1 - number), strict=True):
                tried = those.live(wild, noise, 1.0)
                counts = tried.counts.unsqueeze(2)
                seen = torch.where(counts, tried.seen[:-1, :, :size], 0.0)
                count += counts.sum()
                total += seen.sum(dim=(0, 1), dtype=torch.float64)
                squares += seen.square().sum(dim=(0, 1), dtype=torch.float64)
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
        return mean.float().cpu(), (deviation + LEAST_SCALE).float().cpu()

    @torch.no_grad()
    def _examples(self, tried: Tried) -> tuple[Tensor, ...]:
        """What to learn from, a row for each tick of each dream: the arguments of `losses`."""
        gradient = self.gradient
        values = self.policy.values(tried.seen)  # (T + 1, B)
        better = advantages(tried.rewards, values, tried.ends, tried.over, gradient.discount, gradient.trace)
        target, weight = better + values[:-1], tried.counts.float()
        count = weight.sum().clamp(min=2)
        mean = (better * weight).sum() / count
        spread = ((better - mean).square() * weight).sum().div(count - 1).sqrt()
        better = (better - mean) / (spread + 1e-8)
        seen, outputs = tried.seen[:-1].flatten(0, 1), tried.outputs.flatten(0, 1)
        likelihood = self.policy.log_likelihood(self.policy.means(seen), outputs)
        return seen, outputs, likelihood, better.flatten(), target.flatten(), weight.flatten()

    def _step(self, batch: Sequence[Tensor]) -> Tensor:
        """One step of Adam; returns the critic's squared error."""
        loss, critic = losses(self.policy, self.gradient.clip, *batch)
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), LARGEST_GRADIENT)
        self._adam.step()
        return critic.detach()

    @torch.no_grad()
    def _change(self, data: Sequence[Tensor]) -> float:
        """KL divergence of what is tried now from what was tried, by what was."""
        seen, outputs, likelihood, _, _, weight = data
        now = self.policy.log_likelihood(self.policy.means(seen), outputs)
        return float(((likelihood - now) * weight).sum() / weight.sum().clamp(min=1))
