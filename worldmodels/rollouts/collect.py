"""Playing the actual game and keeping what happened: pool + policy -> store."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from worldmodels.envs.pool import GamePool
from worldmodels.errors import UserError
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.exploration import Policy
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.seeds import stream

EXPLORATIONS = ("random-networks", "random-walk", "held-actions", "varied-holds", "strafing", "start")
LOOK_EVERY = 16  # ticks between two looks at how many episodes have ended
CROWDED = 0.75  # share of a policy's episodes that must be running, or it forgets the ended ones
TRIES = 50  # seeds for one episode: where all of them end early, `shortest` is wrong


@dataclass(frozen=True)
class CollectConfig:
    """How much is played in each round. The defaults are the paper's for CarRacing: one round of random play."""

    first_episodes: int = 10_000  # of random exploration
    first_ticks: int = 1000  # actions after which these are cut off
    # Who plays the first round: random-networks, random-walk, held-actions, varied-holds or strafing. With "start"
    # nobody: all games of the run at which this one begins are learnt from instead.
    exploration: str = "random-networks"
    shortest: int = 0  # episodes of that round with no more ticks are dropped, and others played for them
    trials: int = 16  # whole episodes of each later round, played by C without noise
    episodes: tuple[int, ...] = (112,)  # by C with noise, from the second round on; the last holds on
    ticks: tuple[int, ...] = (1000,)  # their cut, round by round; the last one holds on
    # Ticks in a row without a positive reward after which an episode of C's is cut off; None: never.
    patience: int | None = None
    batch: int = 16  # episodes played at once, and the unit of resume

    def __post_init__(self) -> None:
        if isinstance(self.episodes, int):  # of a run that is older than the schedule
            object.__setattr__(self, "episodes", (self.episodes,))
        if not self.episodes or min(self.episodes) < 0:
            raise ValueError(f"collect.episodes must be numbers of at least 0, got {self.episodes}")
        for name in ("first_episodes", "first_ticks", "trials", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"collect.{name} must be at least 1, got {getattr(self, name)}")
        if self.exploration not in EXPLORATIONS:
            raise ValueError(
                f"collect.exploration must be one of {', '.join(EXPLORATIONS)}, got {self.exploration!r}"
            )
        if not 0 <= self.shortest < self.first_ticks:
            raise ValueError(
                f"collect.shortest must lie in 0..{self.first_ticks - 1}, below first_ticks, got {self.shortest}"
            )
        if not self.ticks or min(self.ticks) < 1:
            raise ValueError(f"collect.ticks must be numbers of at least 1, got {self.ticks}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"collect.patience must be at least 1, got {self.patience}")

    @property
    def takes_games(self) -> bool:
        """Whether the first round plays nothing and has the games of the run at which this one begins."""
        return self.exploration == "start"


@dataclass(frozen=True)
class Collected:
    """What one batch of episodes came to."""

    episodes: int
    actions: int  # taken, which is also the number of frames with an action
    game_steps: int  # with those of dropped episodes
    seconds: float
    scores: tuple[float, ...]  # sum of rewards, one per episode


def collect(
    pool: GamePool,
    policy: Policy,
    seeds: Sequence[int],
    store: EpisodeStore,
    first_index: int,
    max_ticks: int,
    action_repeat: int,
    patience: int | None = None,
    shortest: int = 0,
) -> Collected:
    """Play len(seeds) episodes at once and store them as `first_index`, `first_index` + 1, ...

    Episodes are written, in order, when all have ended: a batch that was cut off leaves at most its first
    files, and playing it again gives the same ones. One batch is held in memory: at most 12 KB per action and
    episode.

    Args:
        pool: games to play; `action_repeat` is the one it was opened with.
        seeds: one per episode, for the game and for the policy.
        max_ticks: actions after which an episode is cut off, if the game has not done so.
        patience: an episode is also cut off after so many actions in a row without a positive reward: a car that has
            lost the road seldom finds back, and there is little to learn from more grass. None: never.
        shortest: an episode of no more actions is dropped, and its place taken by one with a seed drawn from its own.

    Raises UserError when no seed gives an episode that is long enough.
    """
    began = time.monotonic()
    recorded: list[Episode] = play(pool, policy, seeds, max_ticks, action_repeat, patience)
    for again in range(1, TRIES + 1):
        short = [place for place, episode in enumerate(recorded) if episode.length <= shortest]
        if not short:
            break
        if again == TRIES:
            raise UserError(f"no episode lasts for more than {shortest} ticks: lower collect.shortest")
        others = [stream(seeds[place], "again", again) % 2**31 for place in short]
        played = play(pool, policy, others, max_ticks, action_repeat, patience)
        for place, episode in zip(short, played, strict=True):
            before = recorded[place]
            recorded[place] = replace(episode, dropped_steps=before.dropped_steps + before.game_steps)
    for offset, episode in enumerate(recorded):
        store.write(first_index + offset, episode)
    return Collected(
        episodes=len(recorded),
        actions=sum(episode.length for episode in recorded),
        game_steps=sum(episode.game_steps + episode.dropped_steps for episode in recorded),
        seconds=time.monotonic() - began,
        scores=tuple(episode.score for episode in recorded),
    )


def play(
    pool: GamePool,
    policy: Policy,
    seeds: Sequence[int],
    max_ticks: int,
    action_repeat: int,
    patience: int | None = None,
) -> list[Episode]:
    """Play one episode per seed and return them; arguments as for `collect`."""
    if max_ticks < 1:
        raise ValueError(f"max_ticks must be at least 1, got {max_ticks}")
    if action_repeat != pool.action_repeat:
        raise ValueError(
            f"the pool repeats actions {pool.action_repeat} times, got action_repeat {action_repeat}"
        )
    first = pool.reset(seeds)  # (B, 64, 64, 3)
    policy.start(seeds)
    games = len(seeds)
    # Pages of np.empty cost memory only once written: short episodes are not charged for the room of long
    # ones.
    frames = np.empty((games, max_ticks + 1, *first.shape[1:]), np.uint8)
    rewards = np.empty((games, max_ticks), np.float32)
    actions: list[np.ndarray] = []  # T arrays (B, A)
    lengths = np.zeros(games, np.int64)
    terminated = np.zeros(games, bool)
    running = np.ones(games, bool)
    game_steps = np.zeros(games, np.int64)
    unpaid = np.zeros(games, np.int64)  # actions since the last positive reward
    frames[:, 0] = current = first
    played = np.arange(games)  # those that the policy still looks at
    # The pool wants an action for ended games too, and ignores it; this one is valid in every game.
    chosen = np.tile(pool.spec.action_low, (games, 1))
    for tick in range(max_ticks):
        chosen[played] = policy.act(current[played])
        actions.append(chosen.copy())
        step = pool.step(actions[-1])
        current = step.frames
        frames[running, tick + 1] = current[running]
        rewards[running, tick] = step.rewards[running]
        lengths += running
        game_steps = np.where(running, pool.steps_taken, game_steps)
        terminated |= running & step.terminated
        running &= ~(step.terminated | step.truncated)
        unpaid = np.where(step.rewards > 0, 0, unpaid + 1)
        if patience is not None:
            running &= unpaid < patience
            pool.stop(~running)
        if not running.any():
            break
        if tick % LOOK_EVERY == LOOK_EVERY - 1 and running[played].mean() < CROWDED:
            kept = np.flatnonzero(running[played])
            policy.keep(kept)
            played = played[kept]
    taken = np.stack(actions, axis=1)  # (B, T, A)
    return [
        Episode(
            frames=frames[b, : lengths[b] + 1],
            actions=taken[b, : lengths[b]],
            rewards=rewards[b, : lengths[b]],
            terminated=bool(terminated[b]),
            policy=policy.name,
            seed=int(seeds[b]),
            action_repeat=action_repeat,
            game_steps=int(game_steps[b]),
        )
        for b in range(games)
    ]
