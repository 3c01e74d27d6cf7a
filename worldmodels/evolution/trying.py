"""Episodes in which C tries things out: dreams that go on from where they stood, and games that are played whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig, squash
from worldmodels.evolution.policy import Policy
from worldmodels.worlds.state import RecordableWorld, World

Lived = TypeVar("Lived", bound=World)

TOLD = 3  # share of the horizon that is over, what has been earned, what was missed: no feature has them


class Tried(NamedTuple):
    """T ticks of B episodes and what came of them. After its end one goes on without counting."""

    # (T + 1, B, F + TOLD) or (T + 1, B, F): what C and the critic see before each tick and after the last.
    seen: Tensor
    outputs: Tensor  # (T, B, A), C's with the noise
    rewards: Tensor  # (T, B), in the critic's unit
    ends: Tensor  # (T, B), the chance that nothing is earned after this tick: 0 or 1 but where ends are drawn
    over: Tensor  # (T, B) bool, terminated or truncated
    counts: Tensor  # (T, B) bool, not over before


def side_by_side(tried: Iterable[Tried]) -> Tried:
    """Several of T ticks each as one of all their episodes."""
    return Tried(*(torch.cat(parts, dim=1) for parts in zip(*tried, strict=True)))


class Trying(Generic[Lived]):
    """Episodes of one world at once, in which C with noise on its outputs acts.

    Args:
        jerk_cost, missed, finite: see `GradientConfig`. What is missed is left out of what counts as earned.
    """

    def __init__(
        self,
        world: Lived,
        config: ControllerConfig,
        jerk_cost: float,
        missed: float = 0.0,
        finite: bool = False,
    ) -> None:
        self.world, self.config, self.finite = world, config, finite
        self.jerk_cost, self.missed = jerk_cost, missed

    def _nothing_yet(self, count: int) -> None:
        device = self.world.device
        self.earned = torch.zeros(count, device=device)  # since each began
        self.age = torch.zeros(count, device=device)  # ticks since then
        self.behind = torch.zeros(count, device=device)  # tiles that were missed since then
        self.before = torch.zeros(count, self.config.action_size, device=device)  # the last actions
        self.acted = torch.zeros(count, dtype=torch.bool, device=device)  # whether there are any
        self.over = torch.zeros(count, dtype=torch.bool, device=device)

    def _live(
        self, features: Tensor, policy: Policy, noise: Tensor, reward_scale: float, until_over: bool = False
    ) -> Tried:
        """Through the ticks of the noise (T, B, A), or through those until all are over, which asks the device."""
        spread = policy.log_noise.exp()
        seen = [policy.sees(features, self._told(reward_scale))]
        outputs, rewards, ends, overs, counts = [], [], [], [], []
        for shock in noise:
            tried = policy.means(seen[-1]) + spread * shock  # (B, A)
            actions = squash(self.config, tried)
            step = self.world.step(actions)
            jerk = (actions - self.before).square().sum(dim=-1) * self.acted
            reward = (step.reward - self.jerk_cost * jerk) * ~self.over
            counts.append(~self.over)
            self.earned, self.age, self.before = self.earned + reward, self.age + 1, actions
            if self.missed and step.missed is not None:
                missed = step.missed * ~self.over
                reward, self.behind = reward - self.missed * missed, self.behind + missed
            self.acted = torch.ones_like(self.acted)
            over = step.terminated | step.truncated
            seen.append(policy.sees(step.features, self._told(reward_scale)))
            outputs.append(tried)
            rewards.append(reward * reward_scale)
            chance = step.terminated.float() if step.chance is None else step.chance
            ends.append(torch.where(step.truncated, 1.0, chance) if self.finite else chance)
            overs.append(over)
            self.over = self.over | over
            if until_over and bool(self.over.all()):
                break
        parts = seen, outputs, rewards, ends, overs, counts
        return Tried(*(torch.stack(part) for part in parts))

    def _told(self, reward_scale: float) -> Tensor:
        if not self.finite:
            return self.earned.new_zeros(len(self.earned), 0)
        # Each of the order of 1, as the features are: some hundreds of points, and tens of tiles.
        told = self.age / self.world.horizon, 0.1 * reward_scale * self.earned, 0.1 * self.behind
        return torch.stack(told, dim=1)


class Dreamers(Trying[RecordableWorld]):
    """Dreams of one world that go on from generation to generation, and begin anew where they have ended."""

    def begin(self, seeds: Sequence[int]) -> None:
        """Begin one dream for each seed."""
        self.world.reset(seeds)
        self._nothing_yet(len(seeds))

    @property
    def state(self) -> tuple[Tensor, ...]:
        """Everything the next tick depends on."""
        return (self.earned, self.age, self.behind, self.before, self.acted, self.over, *self.world.state)

    @state.setter
    def state(self, state: Sequence[Tensor]) -> None:
        self.earned, self.age, self.behind, self.before, self.acted, self.over, *rest = (
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
        return self._live(self.world.seen(), policy, noise, reward_scale)


class Players(Trying[World]):
    """Whole episodes of a world that cannot go on where it was stopped: each generation plays new ones.

    So there is nothing to keep of them, and a search that was killed meets the episodes that it would have met.
    """

    state: tuple[Tensor, ...] = ()

    def begin(self, seeds: Sequence[int]) -> None:
        """The next episodes are those of the seeds."""
        self._seeds = list(seeds)
        self._nothing_yet(len(seeds))

    begin_anew = begin  # all of them are over

    @torch.no_grad()
    def live(self, policy: Policy, noise: Tensor, reward_scale: float) -> Tried:
        """As `Dreamers.live`, from the episodes' beginning on, world.at_once of them; T is at most world.horizon.

        No game is gone on with for its own sake when all are over: there may be fewer ticks than noise.
        """
        played, ends = [], []
        for first in range(0, len(self._seeds), self.world.at_once):
            those = slice(first, first + self.world.at_once)
            seen = self.world.reset(self._seeds[those])
            self._nothing_yet(len(seen))
            played.append(self._live(seen, policy, noise[:, those], reward_scale, until_over=True))
            ends.append((self.earned, self.before, self.acted, self.over))
        self.earned, self.before, self.acted, self.over = map(torch.cat, zip(*ends, strict=True))
        ticks = max(len(tried.over) for tried in played)
        return side_by_side(_lengthened(tried, ticks) for tried in played)


def _lengthened(tried: Tried, ticks: int) -> Tried:
    """The same with so many ticks, of which those that are added do not count; all its episodes are over."""
    missing = ticks - len(tried.over)
    if missing == 0:  # the longest ones, which are most of what is in memory, are not copied
        return tried
    return Tried(*(torch.cat([part, part.new_zeros(missing, *part.shape[1:])]) for part in tried))
