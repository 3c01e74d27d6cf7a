"""Learn C by policy gradient (PPO, Schulman et al. 2017), in dreams or in the actual game, where it is not evolved.

Evolution knows of an episode only what it earned in all. Where a thousand ticks end by one mistake, that says little
of any action, and a search for a thousand numbers by such returns is slow. Here each tick says whether it
went better than expected. C stays what it is: one layer, deployed without noise and critic.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.evolution.controllers import save_controller
from worldmodels.evolution.evolve import EvolutionConfig
from worldmodels.evolution.meter import Meter, MeterLog
from worldmodels.evolution.ppo import GradientConfig, Learning
from worldmodels.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.interrupt import deferred_interrupt
from worldmodels.runs.metrics import MetricsLog
from worldmodels.runs.progress import progress
from worldmodels.worlds.state import World, goes_on

# Of an unfinished one's checkpoint, whoever searches: another search begins anew.
KIND = "controller-evolution"
KEPT = 2  # of dreams; goes up when that changes: an unfinished search with another number begins anew


def learn(
    run: RunFolder,
    config: ControllerConfig,
    evolution: EvolutionConfig,
    gradient: GradientConfig,
    worlds: Sequence[World],
    *,
    path: Path,
    log_name: str,
    round: int,
    seed: int,
    made_from: Mapping[str, str],
    start: np.ndarray | None = None,
    save_every: float = 20.0,
    meter: Meter | None = None,
) -> str:
    """Learn for evolution.generations and save C at `path`; returns its sha256. Arguments as those of `evolve`.

    Of `evolution` the generations, averaged, the meter and select_actual are used, and patience by actual worlds. The
    log's best, mean and worst are of the episodes that ended in a generation, with the noise; its sigma is that
    noise's. A generation is a function of the state before it and its number, and the state is on disk: a killed one
    goes on to the same C.
    """
    begin_at = None if start is None else torch.from_numpy(start)
    resume, steps_before = run.resume(path), 0
    # C after each generation; the last ones are averaged, and the meter reads some again.
    means: list[np.ndarray] = []
    model = asdict(config) | {"action_kinds": list(config.action_kinds)}  # as a checkpoint gives it back
    searched: dict[str, Any] = {name: getattr(evolution, name) for name in ("search", "backend", "patience")}
    if gradient.last_noise is not None:
        searched["generations"] = evolution.generations  # the noise falls by them, from the first one on
    # What is kept of a dream is not kept of a game.
    searched["worlds_go_on"] = KEPT if goes_on(worlds[0]) else False
    settings = {"model": model, "evolution": searched, "gradient": asdict(gradient)}
    begun = {} if begin_at is None else {"start": begin_at}
    with deferred_interrupt() as interrupt:
        saved_state = None
        if resume.exists():
            checkpoint = load_checkpoint(resume, kind=KIND)
            if _goes_on(checkpoint, settings, made_from, begin_at):
                saved_state = checkpoint.weights
                means = list(saved_state["means"].numpy())[: evolution.generations]
                steps_before = checkpoint.progress.get("game_steps", 0)
        learning = Learning(
            config, gradient, worlds, evolution.generations, begin_at, seed, round, saved_state
        )
        done, saved = len(means), time.monotonic()

        def game_steps() -> int:
            return steps_before + sum(world.game_steps for world in worlds)

        with (
            MetricsLog(run, log_name, keep_before=done) as log,
            MeterLog(run, log_name, meter, evolution.meter_every, evolution.generations, done) as metered,
            progress(log_name, evolution.generations, "generations", start=done) as bar,
        ):
            for generation, mean in enumerate(means):
                _read(metered, generation + 1, mean, learning)
            for generation in range(done, evolution.generations):
                numbers = learning.generation(generation)
                means.append(learning.parameters_of_c())
                log.write(generation, **numbers)
                _read(metered, generation + 1, means[-1], learning)
                bar.advance(best=numbers["best"], mean=numbers["mean"])
                if interrupt.requested or time.monotonic() - saved > save_every:
                    save_checkpoint(
                        resume,
                        kind=KIND,
                        config=settings,
                        weights=learning.state() | begun | {"means": torch.from_numpy(np.stack(means))},
                        progress={"generation": generation + 1, "game_steps": game_steps()},
                        made_from=made_from,
                    )
                    saved = time.monotonic()
                    if interrupt.requested:
                        raise KeyboardInterrupt
    progressed = {"sigma": learning.noise, "game_steps": game_steps()}
    last = means[-evolution.averaged :]
    sha256 = save_controller(path, config, evolution, last, metered, progressed, made_from)
    resume.unlink(missing_ok=True)
    if interrupt.requested:  # after the last look, while the logs were closed
        raise KeyboardInterrupt
    return sha256


def _read(metered: MeterLog, generation: int, mean: np.ndarray, learning: Learning) -> None:
    """Read the meter, which dreams in the worlds of the search: its dreams stand where they stood after it."""
    stood = [those.state for those in learning.dreamers]
    metered.read(generation, mean)
    for those, state in zip(learning.dreamers, stood, strict=True):
        those.state = state


def _goes_on(
    checkpoint: Checkpoint, settings: dict[str, Any], made_from: Mapping[str, str], start: Tensor | None
) -> bool:
    """Whether an unfinished one is of these settings and began at the same C."""
    began = checkpoint.weights.get("start")
    same = began is start if began is None or start is None else torch.equal(began, start)
    return same and checkpoint.config == settings and checkpoint.made_from == dict(made_from)
