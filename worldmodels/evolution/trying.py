"""Episodes in which C tries things out: dreams that go on from where they stood, and games that are played whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, squash
from worldmodels.evolution.policy import Policy
from worldmodels.worlds.state import RecordableWorld, World


class Tried(NamedTuple):
    """T ticks of B episodes and what came of them. After its end one goes on without counting."""

    features: Tensor  # (T + 1, B, F), before each tick and after the last
    outputs: Tensor  # (T, B, A), C's with the noise
    rewards: Tensor  # (T, B), in the critic's unit
    terminated: Tensor  # (T, B) bool
    over: Tensor  # (T, B) bool, terminated or truncated
    counts: Tensor  # (T, B) bool, not over before


class Trying:
    """Episodes at once, in which C with noise on its outputs acts."""

    def __init__(self, config: ControllerConfig, jerk_cost: float, device: torch.device) -> None:
        self.config, self.jerk_cost, self.device = config, jerk_cost, device

    def _nothing_yet(self, count: int) -> None:
        self.earned = torch.zeros(count, device=self.device)  # since each began
        self.before = torch.zeros(count, self.config.action_size, device=self.device)  # the last actions
        self.acted = torch.zeros(count, dtype=torch.bool, device=self.device)  # whether there are any
        self.over = torch.zeros(count, dtype=torch.bool, device=self.device)

    def _live(self, world: World, seen: Tensor, policy: Policy, noise: Tensor, reward_scale: float) -> Tried:
        spread = policy.log_noise.exp()
        seens, outputs, rewards, terminated, overs, counts = [seen], [], [], [], [], []
        for shock in noise:
            tried = policy.means(seen) + spread * shock  # (B, A)
            actions = squash(self.config, tried)
            step = world.step(actions)
            jerk = (actions - self.before).square().sum(dim=-1) * self.acted
            reward = (step.reward - self.jerk_cost * jerk) * ~self.over
            counts.append(~self.over)
            self.earned, self.before = self.earned + reward, actions
            self.acted = torch.ones_like(self.acted)
            ends = step.terminated | step.truncated
            seen = step.features
            seens.append(seen)
            outputs.append(tried)
            rewards.append(reward * reward_scale)
            terminated.append(step.terminated)
            overs.append(ends)
            self.over = self.over | ends
        parts = seens, outputs, rewards, terminated, overs, counts
        return Tried(*(torch.stack(part) for part in parts))


class Dreamers(Trying):
    """Dreams of one world that go on from generation to generation, and begin anew where they have ended."""

    def __init__(self, world: RecordableWorld, config: ControllerConfig, jerk_cost: float) -> None:
        super().__init__(config, jerk_cost, world.device)
        self.world = world

    def begin(self, seeds: Sequence[int]) -> None:
        """Begin one dream for each seed."""
        self.world.reset(seeds)
        self._nothing_yet(len(seeds))

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Everything the next tick depends on."""
        return (self.earned, self.before, self.acted, self.over, *self.world.state)

    @state.setter
    def state(self, state: Sequence[Tensor]) -> None:
        self.earned, self.before, self.acted, self.over, *rest = (
            part.to(self.world.device) for part in state
        )
        self.world.state = tuple(rest)

    def begin_anew(self, seeds: Sequence[int]) -> None:
        """Those that are over begin anew, from the first of the seeds; there is a seed for each dream."""
        rows = self.over.nonzero().squeeze(1)
        if len(rows) == 0:
            return
        going_on = self.state
        self.begin(seeds[: len(rows)])
        self.state = [old.index_copy(0, rows, new) for old, new in zip(going_on, self.state, strict=True)]

    @torch.no_grad()
    def live(self, policy: Policy, noise: Tensor, reward_scale: float) -> Tried:
        """Live through T ticks, with noise (T, B, A) of unit variance on C's outputs; none waits for the device."""
        return self._live(self.world, self.world.seen(), policy, noise, reward_scale)


class Players(Trying):
    """Whole episodes of a world that cannot go on where it was stopped: each generation plays new ones.

    So there is nothing to keep of them, and a search that was killed meets the episodes that it would have met.
    """

    state: tuple[Tensor, ...] = ()

    def __init__(self, world: World, config: ControllerConfig, jerk_cost: float) -> None:
        super().__init__(config, jerk_cost, world.device)
        self.world = world

    def begin(self, seeds: Sequence[int]) -> None:
        """The next episodes are those of the seeds."""
        self._seeds = list(seeds)
        self._nothing_yet(len(seeds))

    begin_anew = begin  # all of them are over

    @torch.no_grad()
    def live(self, policy: Policy, noise: Tensor, reward_scale: float) -> Tried:
        """As `Dreamers.live`, from the episodes' beginning on; T is at most the world's horizon."""
        seen = self.world.reset(self._seeds)
        self._nothing_yet(len(self._seeds))
        return self._live(self.world, seen, policy, noise, reward_scale)
