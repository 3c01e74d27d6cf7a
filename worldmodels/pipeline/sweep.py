"""The table of temperatures: a C for each temperature and evolution seed, from dreams alone, scored in both worlds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.evaluation.sweep import pooled
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import at_round
from worldmodels.pipeline.cheating import film_sweep
from worldmodels.pipeline.ending import random_score
from worldmodels.pipeline.table import Cell, aligned, error_is_over, in_turn, mean_error_std, say
from worldmodels.pipeline.temperature import (
    SCORED,
    actual_seed,
    checked_temperature,
    evolve_and_score,
    generations_of,
    refuse_less_than_one,
)
from worldmodels.pipeline.work import Parts, Work
from worldmodels.report.page import write_report
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.lock import locked
from worldmodels.runs.pretrained import refuse_released

LEAST_DREAMS = 256  # for a dream score of the table


@dataclass(frozen=True)
class SweepConfig:
    """What is asked of a sweep. None takes what the sweep was begun with, or else what the comment says."""

    temperatures: tuple[float, ...] = (0.1, 0.5, 1.0, 1.15, 1.3)  # the paper's, of Take Cover
    seeds: int = 1  # evolutions at each temperature
    generations: int | None = None  # of each; as many as the round's own C had
    episodes: int | None = None  # of the actual game, for each C; 100
    meter: int | None = None  # generations between two readings of the meter, 0 for none; a twentieth of all

    def __post_init__(self) -> None:
        if not self.temperatures:
            raise UserError("--temperatures needs at least one, as in --temperatures 0.1,0.5,1.0,1.15,1.3")
        checked = tuple(checked_temperature(tau, "--temperatures") for tau in self.temperatures)
        if twice := [tau for tau in checked if checked.count(tau) > 1]:
            raise UserError(f"--temperatures names {twice[0]:.2f} twice; leave one of them out")
        object.__setattr__(self, "temperatures", checked)
        refuse_less_than_one(seeds=self.seeds, generations=self.generations, episodes=self.episodes)
        if self.meter is not None and self.meter < 0:
            raise UserError(f"--meter must be 0 (no meter) or more, got {self.meter}")


def sweep(work: Work, asked: SweepConfig) -> dict[str, Any]:
    """Evolve and score whatever of the table is not there yet, all temperatures of a seed before the next seed.

    evaluation/sweep.json is written after each C, so that a sweep that is stopped leaves a table of fewer, and the same
    command goes on from there. Nothing of the actual game is used before a C is scored. In the end the coldest C and
    the best one are filmed, and the report is written again.

    Returns:
        The content of evaluation/sweep.json.
    """
    refuse_released(work.run, "trained on", unless_copy=True)
    with locked(work.run.path):
        parts = work.best()
        table = _begun(work, parts, asked)
        work = _metered(work, table["meter_every"])
        cells = [(tau, seed) for seed in range(asked.seeds) for tau in asked.temperatures]
        for tau, seed in cells:
            _refuse_other_generations(work, parts, tau, seed, table["generations"])
            _refuse_chosen_in_the_game(_path(work, parts, tau, seed))
        if table["random"] is None:
            table["random"] = _random_score(work, table["episodes"])
            write_json(work.run.sweep, table)
        for found in in_turn([_cell(work, parts, tau, seed, table) for tau, seed in cells], _scores):
            others = [cell for cell in table["cells"] if _key(cell) != _key(found)]
            table["cells"] = sorted([*others, found], key=lambda cell: (cell["evolution_seed"], _key(cell)))
            table["table"] = pooled(table["cells"])
            write_json(work.run.sweep, table)
        film_sweep(work, parts, table["table"])
        say(f"open {write_report(work.run)}")
        return table


def _begun(work: Work, parts: Parts, asked: SweepConfig) -> dict[str, Any]:
    """The table so far: what is there, where it is of this V and M and of the settings asked for, or an empty one."""
    memory = work.memory(parts.round)[1]
    there = read_json(work.run.sweep) if work.run.sweep.exists() else {}
    there = there if isinstance(there, dict) else {}
    ours = there if there.get("memory") == memory and there.get("round") == parts.round else {}
    generations = asked.generations or ours.get("generations")
    begun = {
        "game": work.spec.name,
        "round": parts.round,
        "memory": memory,
        "generations": generations or at_round(work.experiment.rounds.generations, parts.round),
        "episodes": asked.episodes or ours.get("episodes") or 100,
        "dreams": max(LEAST_DREAMS, work.experiment.evaluation.dream_episodes),
    }
    same = all(ours.get(name) == value for name, value in begun.items())
    every = ours.get("meter_every") if asked.meter is None else asked.meter
    return {
        **begun,
        "meter_every": max(1, begun["generations"] // 20) if every is None else every,
        "meter_episodes": work.experiment.evolution.meter_episodes,
        "random": ours["random"] if same else None,
        "table": ours["table"] if same else [],
        "cells": ours["cells"] if same else [],
    }


def _metered(work: Work, every: int) -> Work:
    """The same run with a meter beside its evolutions, by which no C is chosen: a sweep's Cs come from dreams alone."""
    evolution = replace(work.experiment.evolution, meter_every=every, select_actual=False)
    return replace(work, experiment=replace(work.experiment, evolution=evolution))


def _refuse_chosen_in_the_game(path: Path) -> None:
    if path.exists() and "selected" in load_checkpoint(path, kind="controller").progress:
        raise UserError(
            f"{path} was chosen by episodes of the actual game, and the Cs of a sweep come from dreams alone: delete it"
        )


def _refuse_other_generations(work: Work, parts: Parts, tau: float, seed: int, generations: int) -> None:
    had = generations_of(work, parts.round, tau, seed)
    if had not in (None, generations):
        raise UserError(
            f"{_path(work, parts, tau, seed)} was evolved for {had} generations, and the other Cs of this sweep for "
            f"{generations}: type --generations {had} for all, or delete it"
        )


def _cell(work: Work, parts: Parts, tau: float, seed: int, table: dict[str, Any]) -> Cell:
    return Cell(
        title=f"temperature {tau:.2f}, seed {seed}",
        kept=lambda: _kept(work, parts, tau, seed, table),
        begun=lambda: work.run.resume(_path(work, parts, tau, seed)).exists(),
        make=lambda: evolve_and_score(
            work,
            parts,
            tau,
            seed,
            generations=table["generations"],
            episodes=table["episodes"],
            dreams=table["dreams"],
        ),
    )


def _kept(work: Work, parts: Parts, tau: float, seed: int, table: dict[str, Any]) -> dict[str, Any] | None:
    """The scores of a C that is there, if they are of as many episodes and dreams as the table asks for."""
    path, record = _path(work, parts, tau, seed), work.run.temperature_score(parts.round, tau, seed)
    if not (path.exists() and record.exists()):
        return None
    load_controller(path, {"memory": table["memory"]})  # of another M it is refused
    found = read_json(record)
    enough = found["actual"]["episodes"], found["dream"]["episodes"]
    return found | {"evolution_seed": seed} if enough == (table["episodes"], table["dreams"]) else None


def _random_score(work: Work, episodes: int) -> dict[str, Any]:
    """What the random policy earns in the episodes that score the Cs."""
    say("the random policy ...")
    content = random_score(work, episodes, actual_seed(work))
    return {name: content[name] for name in SCORED}


def as_text(table: dict[str, Any]) -> str:
    """The table for people, with a line that says what ± and the number in brackets are."""
    rows = [("tau", "dream", "actual", "seeds")]
    for row in table["table"]:
        rows.append(
            (
                f"{row['temperature']:.2f}",
                mean_error_std(row["dream"]),
                mean_error_std(row["actual"]),
                str(row["seeds"]),
            )
        )
    rows.append(("random policy", "", mean_error_std(table["random"]), ""))
    return aligned(rows) + (
        f"\nmean ± standard error over {error_is_over(table['table'])} (standard deviation of single episodes); "
        f"{table['dreams']} dreams and {table['episodes']} actual episodes for each C"
    )


def _path(work: Work, parts: Parts, tau: float, seed: int) -> Path:
    return work.run.controller_at(parts.round, tau, seed)


def _key(cell: dict[str, Any]) -> tuple[float, int]:
    return cell["temperature"], cell["evolution_seed"]


def _scores(found: dict[str, Any]) -> str:
    dream, actual = found["dream"], found["actual"]
    return (
        f"dream {dream['mean']:.0f} ± {dream['standard_error']:.0f}, "
        f"actual {actual['mean']:.0f} ± {actual['standard_error']:.0f}"
    )
