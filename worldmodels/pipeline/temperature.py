"""Further Cs: the same V and M, a dream of another temperature ("Cheating the World Model")."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import at_round
from worldmodels.pipeline.ending import actual_score
from worldmodels.pipeline.growing import grow
from worldmodels.pipeline.work import Parts, Work
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.lock import locked
from worldmodels.runs.pretrained import refuse_released
from worldmodels.runs.seeds import stream

LEAST_DREAMS = 64  # for the dream score: a mean over fewer says little, and dreams cost nothing
SCORED = ("mean", "std", "standard_error", "episodes", "scores", "backend", "seed")


def evolve_at(
    work: Work,
    temperature: float,
    generations: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Evolve another C in the dream of the chosen round at a temperature of its own, and score it in both worlds.

    Nothing of the run is touched: the C, its log and its scores are further files. What is there is not made again.

    Args:
        generations: None takes as many as the round's C had. episodes: of the actual game; None takes 8.
        seed: of the evolution; each has random numbers of its own, and 0 those of the run's own C.
    Returns:
        What is written to evaluation/round-RR-temperature-T.TT.json (with -seed-S where that is not 0).
    """
    refuse_released(work.run, "trained on", unless_copy=True)
    temperature = checked_temperature(temperature)
    refuse_less_than_one(generations=generations, episodes=episodes)
    if seed < 0:
        raise UserError(f"--seed must not be negative, got {seed}")
    with locked(work.run.path):
        parts = work.best()
        record = work.run.temperature_score(parts.round, temperature, seed)
        path = work.run.controller_at(parts.round, temperature, seed)
        had = generations_of(work, parts.round, temperature, seed)
        if generations is not None and had is not None:
            _same("evolved", "generations", had, generations, f"{path} and {record}")
        if record.exists() and path.exists():  # a C that was deleted is made again
            found = read_json(record)
            _refuse_of_another_memory(work, parts.round, path, record)
            if episodes is not None:
                _same("scored", "episodes", found["actual"]["episodes"], episodes, str(record))
            return found
        return evolve_and_score(
            work,
            parts,
            temperature,
            seed,
            generations=generations or at_round(work.experiment.rounds.generations, parts.round),
            episodes=episodes or 8,
            dreams=max(LEAST_DREAMS, work.experiment.evaluation.dream_episodes),
        )


def evolve_and_score(
    work: Work, parts: Parts, temperature: float, seed: int, *, generations: int, episodes: int, dreams: int
) -> dict[str, Any]:
    """Evolve the C of a temperature and seed, unless it is there; score it, and return what the scores' file gets."""
    path = work.run.controller_at(parts.round, temperature, seed)
    dream = grow(
        work,
        parts.round,
        path=path,
        log_name=f"evolve-{path.stem.removeprefix('round-')}",
        temperature=temperature,
        generations=generations,
        dreams=dreams,
        evolution_seed=seed,
        afresh=True,  # what an earlier C has learnt in another dream would get into every temperature's score
    )
    config, parameters, _ = load_controller(path)
    grown = replace(parts, config=config, parameters=parameters.to(work.device))
    actual = actual_score(work, grown, episodes, actual_seed(work), "gymnasium")
    found = {
        "round": parts.round,
        "temperature": temperature,
        "evolution_seed": seed,
        "dream": dream,
        "actual": {name: actual[name] for name in SCORED},
    }
    write_json(work.run.temperature_score(parts.round, temperature, seed), found)
    return found


def actual_seed(work: Work) -> int:
    """Names the actual episodes that score further Cs: the same for all, and none that has any other use."""
    return stream(work.experiment.seed, "temperature") % 2**31


def sentence(found: dict[str, Any]) -> str:
    """The scores of `evolve_at` for people."""
    dream, actual = found["dream"], found["actual"]
    return (
        f"the C of round {found['round']} at temperature {found['temperature']:.2f} earns {dream['mean']:.0f} ± "
        f"{dream['standard_error']:.0f} in {dream['ticks']} ticks of its dream ({dream['per_1000_steps']:.0f} in 1000 "
        f"steps), and {actual['mean']:.0f} ± {actual['standard_error']:.0f} in the actual game "
        f"(standard errors; {dream['episodes']} dreams, {actual['episodes']} episodes)"
    )


def checked_temperature(temperature: float, option: str = "--temperature") -> float:
    """A temperature as files are named by it; UserError when it is not a positive multiple of 0.01."""
    if not 0 < temperature < float("inf"):
        raise UserError(f"{option} must be a positive number, got {temperature}")
    hundredths = round(temperature * 100)
    if abs(temperature * 100 - hundredths) > 1e-6 or hundredths < 1:
        raise UserError(f"{option} goes in steps of 0.01 here, got {temperature}")
    return hundredths / 100


def refuse_less_than_one(**options: int | None) -> None:
    """UserError naming the option when one that was given is not at least 1."""
    for name, value in options.items():
        if value is not None and value < 1:
            raise UserError(f"--{name} must be at least 1, got {value}")


def generations_of(work: Work, round: int, temperature: float, seed: int) -> int | None:
    """How many generations this C had; None where there is none."""
    path = work.run.controller_at(round, temperature, seed)
    return load_checkpoint(path, kind="controller").progress["generations"] if path.exists() else None


def _refuse_of_another_memory(work: Work, round: int, path: Path, record: Path) -> None:
    """UserError when the C that was scored was evolved in the dream of an M that is no longer in use."""
    if load_checkpoint(path, kind="controller").made_from.get("memory") != work.memory(round)[1]:
        raise UserError(
            f"{record} has the scores of a C that grew in the dream of another M than the one in use: delete it and "
            f"{path}, and type the command again"
        )


def _same(done: str, what: str, had: int, asked: int, files: str) -> None:
    if had != asked:
        raise UserError(
            f"this C is there already and was {done} for {had} {what}: leave out --{what} {asked}, or delete {files}"
        )
