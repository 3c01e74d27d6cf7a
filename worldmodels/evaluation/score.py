"""The protocol of the paper: mean and standard deviation of the return over fresh episodes, and its standard error."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.fitness import returns
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.exploration import Policy
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.progress import progress
from worldmodels.runs.seeds import stream
from worldmodels.worlds.actual import ActualWorld
from worldmodels.worlds.dream import DreamWorld


@dataclass(frozen=True)
class EvaluationConfig:
    """How C is chosen among the rounds and how it is scored in the end."""

    candidates: int = 1  # rounds whose C is tried in the actual game; 1: the last round's, without a trial
    trial_episodes: int = 16  # of each candidate
    episodes: int = 100  # of the final score, with seeds that nothing before has seen
    random_episodes: int = 100  # of the random policy beside it
    dream_episodes: int = 256  # for the dream score
    batch: int = 16  # actual episodes at once

    def __post_init__(self) -> None:
        for name in ("candidates", "trial_episodes", "episodes", "dream_episodes", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"evaluation.{name} must be at least 1, got {getattr(self, name)}")
        if self.random_episodes < 0:
            raise ValueError(f"evaluation.random_episodes must not be negative, got {self.random_episodes}")


@dataclass(frozen=True)
class Score:
    """Returns of an evaluation; `as_json` is what `worldmodels evaluate --json` prints."""

    game: str
    world: str  # "actual" or "dream"
    seed: int
    scores: tuple[float, ...]  # one return per episode
    seconds: float
    steps: int  # of the game (actual) or ticks (dream), all episodes together

    def as_json(self, **more: Any) -> dict[str, Any]:
        """The object of the contract, with `more` at its end."""
        content = asdict(self)
        steps, scores = content.pop("steps"), content.pop("scores")
        seconds = content.pop("seconds")
        return {
            **content,
            "episodes": len(scores),
            **mean_and_error(np.array(scores)),
            "scores": list(scores),
            "seconds": seconds,
            "steps_per_second": steps / seconds if seconds > 0 else 0.0,
            **more,
        }


@dataclass(frozen=True)
class Unfinished:
    """Where an evaluation keeps its scores batch by batch, so that one that was stopped goes on from there."""

    path: Path  # is gone when the evaluation is complete
    of: dict[str, Any]  # what is scored, in words of JSON: what was kept of anything else is not gone on with

    def read(self) -> tuple[list[float], int, float]:
        """Scores of the first episodes, in whole batches, and the steps and seconds that they took."""
        content = read_json(self.path) if self.path.exists() else None
        match content:
            case {"of": self.of, "scores": list(scores), "steps": int(steps), "seconds": float(seconds)}:
                return scores, steps, seconds
        return [], 0, 0.0

    def write(self, scores: list[float], steps: int, seconds: float) -> None:
        """Keep these, so far."""
        write_json(self.path, {"of": self.of, "scores": scores, "steps": steps, "seconds": seconds})


def mean_and_error(scores: np.ndarray) -> dict[str, Any]:
    """Mean, standard deviation (with n - 1) and standard error of returns, for JSON; both 0 for a single one."""
    std = float(scores.std(ddof=1)) if len(scores) > 1 else 0.0
    return {
        "mean": float(scores.mean()),
        "std": std,
        "standard_error": std / len(scores) ** 0.5,
        "episodes": len(scores),
    }


def episode_seeds(seed: int, episodes: int) -> list[int]:
    """Seeds of an evaluation: no other use of any seed draws from this stream. In [0, 2**31)."""
    return [stream(seed, "evaluation", index) % 2**31 for index in range(episodes)]


def score_actual(
    world: ActualWorld,
    config: ControllerConfig,
    parameters: Tensor,
    seeds: Sequence[int],
    batch: int,
    seed: int,
    unfinished: Unfinished | None = None,
) -> Score:
    """Score C (n,) in the actual game, `batch` episodes at once; see `Unfinished`."""

    def played(part: Sequence[int]) -> tuple[list[float], int]:
        before = world.game_steps
        totals = returns(config, parameters[None], world, part)[0]  # (R,)
        return totals.tolist(), world.game_steps - before

    return _in_batches(world.pool.spec.name, played, seeds, batch, seed, unfinished)


def score_policy(
    pool: Any, policy: Policy, ticks: int, action_repeat: int, seeds: Sequence[int], batch: int, seed: int
) -> Score:
    """Score any policy that looks at frames, as the random one does."""

    def played(part: Sequence[int]) -> tuple[list[float], int]:
        episodes = play(pool, policy, part, ticks, action_repeat)
        return [e.score for e in episodes], sum(e.game_steps for e in episodes)

    return _in_batches(pool.spec.name, played, seeds, batch, seed)


def _in_batches(
    game: str,
    played: Callable[[Sequence[int]], tuple[list[float], int]],
    seeds: Sequence[int],
    batch: int,
    seed: int,
    unfinished: Unfinished | None = None,
) -> Score:
    scores, steps, before = unfinished.read() if unfinished else ([], 0, 0.0)
    began = time.monotonic() - before
    with progress("evaluate", len(seeds), "episodes", start=len(scores)) as bar:
        for i in range(len(scores), len(seeds), batch):
            part = seeds[i : i + batch]
            totals, taken = played(part)
            scores += totals
            steps += taken
            if unfinished:
                unfinished.write(scores, steps, time.monotonic() - began)
            bar.advance(len(part), mean=float(np.mean(scores)))
    return Score(game, "actual", seed, tuple(scores), time.monotonic() - began, steps)


@torch.no_grad()
def score_dream(
    world: DreamWorld, game: str, config: ControllerConfig, parameters: Tensor, episodes: int, seed: int
) -> Score:
    """Score C (n,) in the dream, all episodes at once; steps are counted up to the horizon."""
    began = time.monotonic()
    seeds = [stream(seed, "dream-evaluation", index) for index in range(episodes)]
    totals = returns(config, parameters[None], world, seeds)[0]
    return Score(
        game, "dream", seed, tuple(totals.tolist()), time.monotonic() - began, episodes * world.horizon
    )
