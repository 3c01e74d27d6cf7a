"""What is done with a trained run: score it, film its dream, hand out its agent and its dream."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.pipeline.ending import actual_score, dream_score, film_of_dream
from worldmodels.pipeline.media import openings
from worldmodels.pipeline.work import open_run
from worldmodels.report.video import ENDINGS
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.agent import Agent, Controller


def evaluate_with(
    run: RunFolder,
    world: str,
    episodes: int,
    seed: int,
    temperature: float | None,
    backend: str | None,
    device: str,
) -> dict[str, Any]:
    """Score the chosen C; the object that `worldmodels evaluate --json` prints."""
    if episodes < 1:
        raise UserError(f"--episodes must be at least 1, got {episodes}")
    if seed < 0:
        raise UserError(f"--seed must not be negative, got {seed}")
    if temperature is not None and world == "actual":
        raise UserError("--temperature belongs to the dream; add --world dream, or leave it out")
    if backend is not None and world == "dream":
        raise UserError("--backend belongs to the actual game; add --world actual, or leave it out")
    _refuse_no_temperature(temperature)
    work = open_run(run, device)
    parts = work.best()
    if world == "actual":
        score = actual_score(work, parts, episodes, seed, backend or "gymnasium")
    else:
        tau = work.temperature(parts.round) if temperature is None else temperature
        score = dream_score(work, parts, episodes, seed, tau)
    return score | {"controller_round": parts.round, "policy": "controller"}


def film(run: RunFolder, out: Path, steps: int, temperature: float | None, seed: int, device: str) -> Path:
    """Film `steps` ticks of C's dream, from the opening of one of the episodes of its round.

    temperature: None is that in which C has learnt.

    A released run has no episodes; its dreams begin at one of the openings that it keeps.
    """
    if steps < 1:
        raise UserError(f"--steps must be at least 1, got {steps}")
    if out.suffix.lower() not in ENDINGS:
        raise UserError(f"--out must end in {' or '.join(ENDINGS)}, got {out}")
    _refuse_no_temperature(temperature)
    work = open_run(run, device)
    parts = work.best()
    tau = work.temperature(parts.round) if temperature is None else temperature
    if run.is_released:
        starts = work.starts(parts.round, parts.memory, work.experiment.dream.starts)
    else:
        store = work.store(parts.round)
        episodes = [store.read(index) for index in store.indices()[:8]]
        if not episodes:
            raise work.no_episodes(parts.round)
        starts = openings(parts.vision, parts.memory, episodes, work.device)
    return film_of_dream(work, parts, starts, out, steps, tau, seed)


def load_agent(run: str | Path, device: str = "auto", controller: Controller | None = None) -> Agent:
    """The trained agent of a run, see `worldmodels.load_agent`."""
    work = open_run(run_folder(run), device)
    return work.agent(work.best(), controller)


def _refuse_no_temperature(asked: float | None) -> None:
    if asked is not None and not 0 < asked < float("inf"):
        raise UserError(f"--temperature must be a positive number, got {asked}")
