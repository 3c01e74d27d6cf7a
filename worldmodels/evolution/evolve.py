"""Evolve C in whichever world it is given ("Controller (C) Model"): ask, play, tell; go on where it was killed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.evolution.cma_es import DeviceCMAES
from worldmodels.evolution.controllers import as_config, save_controller
from worldmodels.evolution.fitness import returns
from worldmodels.evolution.meter import Meter, MeterLog
from worldmodels.evolution.strategy import CMAES
from worldmodels.runs.checkpoint import load_checkpoint, save_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.interrupt import deferred_interrupt
from worldmodels.runs.metrics import MetricsLog
from worldmodels.runs.progress import progress
from worldmodels.runs.seeds import stream
from worldmodels.worlds.state import World

# Settings that the search does not depend on.
BESIDE_THE_SEARCH = ("generations", "averaged", "meter_every", "meter_episodes", "select_actual")


@dataclass(frozen=True)
class EvolutionConfig:
    """How C is sought. The defaults are the paper's."""

    generations: int = 1800  # in a run `rounds.generations`, round by round
    population: int = 64  # P
    repeats: int = 16  # R: episodes of each individual, the same for all of them
    sigma: float = 0.1  # first step size
    diagonal: bool = False  # separable CMA-ES: variances only, learns faster in few generations
    # CMA-ES by the cma package, or ours on the device (auto: on GPUs). "gradient": no evolution but
    # `gradient.learn`; an ablation has a --search of its own.
    search: Literal["auto", "cma", "device", "gradient"] = "auto"
    # Who plays where C is sought in the actual game (envpool, gymnasium, sketch); None: as in the other stages.
    backend: str | None = None
    # Ticks in a row without a positive reward after which an actual episode ends; None: never.
    patience: int | None = None
    worst: float = 1.0  # share of an individual's episodes, the worst ones, whose mean is its fitness
    jerk_cost: float = 0.0  # see `fitness.returns`; where C learns by gradient gradient.jerk_cost counts
    # Each round begins at zero instead of the C of the round before, whose tanh is saturated.
    afresh: bool = False
    averaged: int = 1  # generations, the last ones: the mean of their means is C, less a search's random walk
    meter_every: int = 0  # generations between two looks at what the mean scores in both worlds; 0: never
    meter_episodes: int = 16  # of the actual game for each look
    select_actual: bool = False  # take the metered mean that is best in the actual game, not the last mean

    def __post_init__(self) -> None:
        if self.generations < 1 or self.population < 4 or self.repeats < 1:
            raise ValueError(
                "evolution needs generations >= 1, population >= 4 and repeats >= 1, got "
                f"{self.generations}, {self.population}, {self.repeats}"
            )
        if self.search not in ("auto", "cma", "device", "gradient"):
            raise ValueError(f"evolution.search must be auto, cma, device or gradient, got {self.search!r}")
        if self.search == "gradient" and self.worst < 1:
            raise ValueError(
                f"evolution.worst is of evolutions, and the search is gradient: give it 1, got {self.worst}"
            )
        if not 0 < self.worst <= 1:
            raise ValueError(f"evolution.worst must lie above 0 and not above 1, got {self.worst}")
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"evolution.patience must be at least 1, got {self.patience}")
        if self.averaged < 1:
            raise ValueError(f"evolution.averaged must be at least 1, got {self.averaged}")
        if self.sigma <= 0 or self.jerk_cost < 0:
            raise ValueError(
                f"evolution needs sigma > 0 and jerk_cost >= 0, got {self.sigma}, {self.jerk_cost}"
            )
        if self.meter_every < 0 or self.meter_episodes < 1:
            raise ValueError(
                "evolution needs meter_every >= 0 and meter_episodes >= 1, got "
                f"{self.meter_every}, {self.meter_episodes}"
            )
        if self.select_actual and not self.meter_every:
            raise ValueError(
                "evolution.select_actual needs a meter: give evolution.meter_every a number above 0"
            )


def evolve(
    run: RunFolder,
    config: ControllerConfig,
    evolution: EvolutionConfig,
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
    """Evolve for evolution.generations and save the mean of the last distribution as the C at `path`.

    With evolution.averaged it is the mean of that many last distributions' means.

    With evolution.select_actual it is the mean of another generation that is saved, and the checkpoint's progress says
    which, out of how many, and how many actual episodes chose it.

    Returns its sha256. The state on disk is the list of fitnesses so far: the strategy is replayed from it, so that a
    killed evolution ends in the same controller.

    Args:
        worlds: those that an individual's episodes are shared out to in turn.
        path: of the checkpoint; while it is unfinished, what goes on lies beside it.
        log_name: of its log in the run's metrics.
        round: names the random streams. Two evolutions of one round and seed search with the same random numbers, and
            whatever differs between them comes from their worlds.
        start: parameters (n,) to search around; None begins at zero.
        save_every: seconds between two checkpoints of an unfinished evolution.
        meter: read every evolution.meter_every generations; not needed where that is 0.
    """
    first_mean = np.zeros(config.parameter_count, np.float32) if start is None else start
    device = worlds[0].device
    search = search_on(device, evolution.search)
    begun = (
        first_mean,
        evolution.sigma,
        evolution.population,
        stream(seed, "cma", round),
        evolution.diagonal,
    )
    strategy = CMAES(*begun) if search == "cma" else DeviceCMAES(*begun, device)
    searched = _searched(evolution, search)
    settings = {"model": asdict(config), "evolution": searched}
    resume, told, steps_before = run.resume(path), np.zeros((0, evolution.population), np.float32), 0
    if resume.exists():
        checkpoint = load_checkpoint(resume, kind="controller-evolution")
        # What an older one does not name had its default; and it may name what the search does not depend on.
        had = _searched(EvolutionConfig(), "cma") | _of_the_search(checkpoint.config["evolution"])
        searching = had == searched and checkpoint.made_from == dict(made_from)
        same = searching and as_config(checkpoint.config["model"]) == config
        if same and torch.equal(checkpoint.weights["start"], torch.from_numpy(first_mean)):
            told = checkpoint.weights["told"].numpy()[: evolution.generations]
            steps_before = checkpoint.progress.get("game_steps", 0)

    def game_steps() -> int:
        return sum(world.game_steps for world in worlds)

    steps_before -= game_steps()  # what is counted from here on is this evolution's own

    def save() -> None:
        weights = {"start": torch.from_numpy(first_mean), "told": torch.from_numpy(np.stack(strategy.told))}
        progressed = {"generation": len(strategy.told), "game_steps": steps_before + game_steps()}
        save_checkpoint(
            resume,
            kind="controller-evolution",
            config=settings,
            weights=weights,
            progress=progressed,
            made_from=made_from,
        )

    done, saved = len(told), time.monotonic()
    means: deque[np.ndarray] = deque(maxlen=evolution.averaged)
    with (
        deferred_interrupt() as interrupt,
        MetricsLog(run, log_name, keep_before=done) as log,
        MeterLog(run, log_name, meter, evolution.meter_every, evolution.generations, done) as metered,
        progress(log_name, evolution.generations, "generations", start=done) as bar,
    ):
        for generation in range(done):
            strategy.replay(told[generation : generation + 1])
            means.append(strategy.mean)
            metered.read(generation + 1, strategy.mean)
        for generation in range(done, evolution.generations):
            population = torch.as_tensor(strategy.ask())  # (P, n), where the strategy lives
            seeds = [stream(seed, "dreams", round, generation, i) for i in range(evolution.repeats)]
            played = [
                returns(config, population, world, shared, evolution.jerk_cost)
                for world, shared in zip(worlds, shares(seeds, len(worlds)), strict=True)
            ]
            fitness = mean_of_worst(torch.cat(played, dim=1), evolution.worst)  # (P,)
            fitness = fitness.cpu().numpy()
            strategy.tell(fitness)
            means.append(strategy.mean)
            numbers = {"best": fitness.max(), "mean": fitness.mean(), "worst": fitness.min()}
            log.write(generation, **numbers, sigma=strategy.sigma)
            metered.read(generation + 1, strategy.mean)
            bar.advance(best=float(numbers["best"]), mean=float(numbers["mean"]))
            if interrupt.requested or time.monotonic() - saved > save_every:
                save()
                saved = time.monotonic()
                if interrupt.requested:
                    raise KeyboardInterrupt
    progressed = {
        "sigma": strategy.sigma,
        "game_steps": steps_before + game_steps(),  # of the actual game; a dream has none
    }
    sha256 = save_controller(path, config, evolution, means, metered, progressed, made_from)
    resume.unlink(missing_ok=True)
    if interrupt.requested:  # after the last look, while the logs were closed
        raise KeyboardInterrupt
    return sha256


def search_on(device: torch.device, wanted: str) -> str:
    """Who seeks C in worlds on `device`: "cma", "device cpu" or "device cuda". The latter two draw other numbers."""
    if wanted == "cma" or (wanted != "device" and device.type != "cuda"):
        return "cma"
    return f"device {device.type}"


def shares(seeds: Sequence[int], count: int) -> list[Sequence[int]]:
    """The seeds dealt out in turn, so that no two shares differ by more than one."""
    return [seeds[first::count] for first in range(count)]


def mean_of_worst(played: Tensor, share: float = 1.0) -> Tensor:
    """Fitness (P,) of returns (P, R): the mean of the worst `share` of each row, of one return at least.

    With a share below 1 an individual is worth what it earns where it fails: evolution is kept from driving at a limit
    that M, which has seldom seen what is beyond it, puts too far out. UserError when a return is not a number.
    """
    if not bool(torch.isfinite(played).all()):
        raise UserError(
            "an episode paid rewards that are not finite: M has diverged; train it again at a lower rate"
        )
    counted = max(1, round(share * played.shape[1]))
    return played.sort(dim=1).values[:, :counted].mean(dim=1)


def _searched(evolution: EvolutionConfig, search: str) -> dict[str, Any]:
    """The settings on which the search depends, with `search` as `search_on` names it."""
    return _of_the_search(asdict(evolution)) | {"search": search}


def _of_the_search(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in BESIDE_THE_SEARCH}
