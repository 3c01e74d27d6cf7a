"""What C needs: Cs on other features, evolved in the actual game with one budget ("Car Racing Experiment")."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.evaluation.sweep import pooled
from worldmodels.pipeline.kinds import KINDS, evolve_and_score
from worldmodels.pipeline.table import Cell, aligned, error_is_over, in_turn, mean_error_std, say
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts, Work
from worldmodels.report.page import write_report
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.lock import locked
from worldmodels.runs.pretrained import refuse_released

PATIENCE = (
    25  # ticks without a positive reward that end an episode of an evolution, where the run does not say
)
# The same for all Cs of a table. Where C learns by gradient, its generations are of one individual.
BUDGET = ("search", "generations", "population", "repeats", "horizon", "patience", "learning_rate")
SEARCHES = ("evolution", "gradient")


@dataclass(frozen=True)
class AblationConfig:
    """What is asked of an ablation. None takes what it was begun with, or else what the comment says."""

    features: tuple[str, ...] | None = (
        None  # of KINDS; z, z-hidden, and the run's own with M trained and untrained
    )
    search: str | None = None  # of SEARCHES; evolution
    seeds: int = 1  # evolutions of each kind
    generations: int | None = None  # of each; 30
    population: int | None = None  # as in the run
    repeats: int | None = None  # episodes of each individual; 1, or where C learns by gradient gradient.games
    horizon: int | None = None  # ticks of such an episode; a whole one
    learning_rate: float | None = None  # of C where it learns by gradient; gradient.learning_rate
    episodes: int | None = None  # of the actual game, to score each C; 100

    def __post_init__(self) -> None:
        for kind in self.features or ():
            if kind not in KINDS:
                raise UserError(
                    f"--features takes {', '.join(KINDS)}, with commas between them, got {kind!r}"
                )
            if (self.features or ()).count(kind) > 1:
                raise UserError(f"--features names {kind} twice; leave one of them out")
        if self.features == ():
            raise UserError("--features needs at least one, as in --features z,z-hidden,zh,zh-untrained")
        if self.search not in (None, *SEARCHES):
            raise UserError(f"--search takes {' or '.join(SEARCHES)}, got {self.search!r}")
        if self.search == "gradient" and self.population is not None:
            raise UserError("--population is of an evolution: leave it out, or --search gradient")
        if self.learning_rate is not None and not 0 < self.learning_rate < math.inf:
            raise UserError(f"--learning-rate must be above 0, got {self.learning_rate}")
        refuse_less_than_one(
            seeds=self.seeds,
            generations=self.generations,
            repeats=self.repeats,
            horizon=self.horizon,
            episodes=self.episodes,
        )
        if self.population is not None and self.population < 4:
            raise UserError(f"--population must be at least 4, got {self.population}")


def ablate(work: Work, asked: AblationConfig) -> dict[str, Any]:
    """Evolve and score whatever of the table is not there yet, all kinds of a seed before the next seed.

    Every C is sought from zero in the actual game, on the same tracks and with the same random numbers as the others of
    its seed, and no dream is used. evaluation/ablation.json is written after each C, so that an ablation that is
    stopped leaves a table of fewer, and the same command goes on from there. In the end the report is written again.

    Returns:
        The content of evaluation/ablation.json.
    """
    refuse_released(work.run, "trained on", unless_copy=True)
    with locked(work.run.path):
        parts = work.best()
        table = _begun(work, parts, asked)
        work = _with_budget(work, table)
        own = "zch" if work.experiment.controller.features == "zch" else "zh"
        kinds = asked.features or ("z", "z-hidden", own, f"{own}-untrained")
        write_json(work.run.ablation, table)  # says with which budget the Cs are evolved, before there is one
        cells = [_cell(work, parts, kind, seed, table) for seed in range(asked.seeds) for kind in kinds]
        for found in in_turn(cells, _score):
            others = [cell for cell in table["cells"] if _key(cell) != _key(found)]
            table["cells"] = sorted([*others, found], key=_key)
            table["table"] = rows(table["cells"])
            write_json(work.run.ablation, table)
        say(f"open {write_report(work.run)}")
        return table


def rows(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each kind: "features", "seeds", "actual" pooled, and the mean "game_steps" of an evolution."""
    found = []
    for row in pooled(cells, by="features", worlds=("actual",)):
        steps = [cell["game_steps"] for cell in cells if cell["features"] == row["features"]]
        found.append(row | {"game_steps": round(sum(steps) / len(steps))})
    return found


def as_text(table: dict[str, Any]) -> str:
    """The table for people, with lines that say what its numbers are."""
    lines = [("features", "actual", "steps", "seeds")]
    for row in table["table"]:
        actual = mean_error_std(row["actual"])
        lines.append((row["features"], actual, f"{row['game_steps']:,}", str(row["seeds"])))
    return aligned(lines) + (
        f"\nmean ± standard error over {error_is_over(table['table'])} (standard deviation of single episodes); "
        f"{table['episodes']} actual episodes for each C\nsteps of the actual game in an evolution: "
        f"{budget_of(table)} of at most {table['horizon']} ticks, the same for all"
    )


def budget_of(table: dict[str, Any]) -> str:
    """How much each C of a table was sought: "30 generations of 64 individuals, 1 episode for each"."""
    episodes = "1 episode" if table["repeats"] == 1 else f"{table['repeats']} episodes"
    if table.get("search") == "gradient":
        rate = f" at a rate of {table['learning_rate']:g}" if table.get("learning_rate") else ""
        return f"{table['generations']} generations of {episodes}, by policy gradient{rate},"
    return f"{table['generations']} generations of {table['population']} individuals, {episodes} for each,"


def _begun(work: Work, parts: Parts, asked: AblationConfig) -> dict[str, Any]:
    """The table so far: what is there, where it is of this V and M and of the settings asked for, or an empty one.

    UserError when Cs are there that were evolved with another budget than the one asked for.
    """
    there = read_json(work.run.ablation) if work.run.ablation.exists() else {}
    of = {
        "game": work.spec.name,
        "round": parts.round,
        "vision": work.vision(parts.round)[1],
        "memory": work.memory(parts.round)[1],
    }
    ours = there if isinstance(there, dict) and all(there.get(k) == v for k, v in of.items()) else {}
    evolution, gradient = work.experiment.evolution, work.experiment.gradient
    by_gradient = (asked.search or ours.get("search")) == "gradient"
    if asked.learning_rate is not None and not by_gradient:
        raise UserError("--learning-rate is of a policy gradient: leave it out, or add --search gradient")
    usual = {
        "search": "evolution",
        "generations": 30,
        "population": 1 if by_gradient else evolution.population,
        "repeats": gradient.games if by_gradient else 1,
        "horizon": work.ticks,
        "patience": evolution.patience or PATIENCE,
        "learning_rate": gradient.learning_rate if by_gradient else None,
    }
    if ours:  # older ones do not say how
        ours = {name: usual[name] for name in ("search", "learning_rate")} | ours
    wanted = {name: getattr(asked, name, None) for name in BUDGET}
    if wanted["horizon"] is not None:
        wanted["horizon"] = min(wanted["horizon"], work.ticks)
    budget = {name: wanted[name] or ours.get(name) or usual[name] for name in BUDGET}
    _refuse_others(work, parts, ours, budget)
    begun = of | budget | {"episodes": asked.episodes or ours.get("episodes") or 100}
    same = all(ours.get(name) == value for name, value in begun.items())
    return begun | {"table": ours["table"] if same else [], "cells": ours["cells"] if same else []}


def _refuse_others(work: Work, parts: Parts, ours: dict[str, Any], budget: dict[str, Any]) -> None:
    """UserError when there are Cs of another budget, finished or not, or Cs of which nobody knows the budget."""
    pattern = work.run.controller_of(parts.round, "*")
    there = sorted(pattern.parent.glob(pattern.name))
    if there and not ours:
        raise UserError(
            f"{there[0]} is there, and {work.run.ablation} does not say how it was evolved from the V and M in use: "
            f"delete {pattern} and type the command again"
        )
    for name, value in budget.items():
        if there and ours.get(name) != value:
            raise UserError(
                f"this ablation was begun with {name} {ours.get(name)}, not {value}: leave out "
                f"--{name.replace('_', '-')}, or delete {pattern} to begin it again"
            )


def _with_budget(work: Work, table: dict[str, Any]) -> Work:
    """The same run with this budget for its evolutions, and no meter that would play more."""
    own, by_gradient = work.experiment.evolution, table["search"] == "gradient"
    evolution = replace(
        own,
        search="gradient" if by_gradient else "auto" if own.search == "gradient" else own.search,
        worst=1.0 if by_gradient else own.worst,
        generations=table["generations"],
        population=own.population if by_gradient else table["population"],
        repeats=table["repeats"],
        patience=table["patience"],
        meter_every=0,
        select_actual=False,
    )
    # Nobody dreams, so no M needs a share of the repeats.
    rounds = replace(work.experiment.rounds, dreamers=(1,), searches=())
    gradient = work.experiment.gradient
    if by_gradient:
        gradient = replace(gradient, games=table["repeats"], learning_rate=table["learning_rate"])
    changed = replace(work.experiment, evolution=evolution, gradient=gradient, rounds=rounds)
    return replace(work, experiment=changed)


def _cell(work: Work, parts: Parts, kind: str, seed: int, table: dict[str, Any]) -> Cell:
    path = work.run.controller_of(parts.round, kind, seed)
    return Cell(
        title=f"{kind}, seed {seed}",
        kept=lambda: _kept(path, kind, seed, table),
        begun=lambda: path.exists() or work.run.resume(path).exists(),
        make=lambda: evolve_and_score(
            work, parts, kind, seed, horizon=table["horizon"], episodes=table["episodes"]
        ),
    )


def _kept(path: Path, kind: str, seed: int, table: dict[str, Any]) -> dict[str, Any] | None:
    """What the table says of a C that is there."""
    return next((c for c in table["cells"] if _key(c) == (seed, kind) and path.exists()), None)


def _key(cell: dict[str, Any]) -> tuple[int, str]:
    return cell["evolution_seed"], cell["features"]


def _score(found: dict[str, Any]) -> str:
    actual = found["actual"]
    return f"actual {actual['mean']:.0f} ± {actual['standard_error']:.0f} after {found['game_steps']:,} steps of it"
