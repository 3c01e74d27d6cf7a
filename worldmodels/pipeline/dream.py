"""A run's dream as a Gymnasium environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from worldmodels.errors import UserError
from worldmodels.pipeline.work import open_run
from worldmodels.runs.pretrained import run_folder
from worldmodels.worlds.dream_env import OBSERVATIONS, DreamEnv, DreamVectorEnv, Observation


def make_dream(
    run: str | Path,
    num_envs: int = 64,
    temperature: float | None = None,
    *,
    horizon: int | None = None,
    observation: Observation = "features",
    render_mode: str | None = None,
    device: str = "auto",
) -> DreamVectorEnv:
    """The dream of a run's chosen M, `num_envs` at once; see `worldmodels.make_dream`."""
    if num_envs < 1:
        raise UserError(f"num_envs must be at least 1, got {num_envs}")
    if observation not in OBSERVATIONS:
        raise UserError(f"observation must be one of {', '.join(OBSERVATIONS)}, got {observation!r}")
    work = open_run(run_folder(run), device)
    parts, config = work.best(), work.experiment.dream
    try:
        config = replace(
            config,
            temperature=work.temperature(parts.round) if temperature is None else temperature,
            horizon=work.ticks if horizon is None else horizon,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    world = work.dream(parts.round, parts.memory, parts.config.features, config)
    fps = work.spec.steps_per_second / work.experiment.action_repeat
    return DreamVectorEnv(world, parts.vision, work.spec, num_envs, observation, render_mode, fps)


def make_one_dream(
    run: str | Path,
    temperature: float | None = None,
    horizon: int | None = None,
    observation: Observation = "features",
    render_mode: str | None = None,
    device: str = "auto",
) -> DreamEnv:
    """What `gymnasium.make("worldmodels/Dream-v0", run=...)` gives: one dream."""
    dreams = make_dream(
        run,
        1,
        temperature,
        horizon=horizon,
        observation=observation,
        render_mode=render_mode,
        device=device,
    )
    return DreamEnv(dreams)
