"""What a run folder says about itself, read for the report; what is missing or unreadable is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worldmodels.errors import UserError
from worldmodels.report.lenient import listed, mapping, number, numbers, whole
from worldmodels.report.logs import Curves, numbered, read_curves
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder


@dataclass(frozen=True)
class Scores:
    """Returns over a number of episodes of one world, in the game's points."""

    mean: float
    standard_error: float | None = None  # of the mean
    std: float | None = None
    episodes: int | None = None
    scores: tuple[float, ...] = ()  # one for each episode, where they were kept
    facts: Mapping[str, Any] = field(default_factory=dict)  # everything else that the file says


@dataclass(frozen=True)
class Round:
    """What one round's controller scored."""

    number: int
    dream: Scores | None
    per_1000_steps: float | None  # dream points in 1,000 steps of the game
    actual: Scores | None
    disturbed: (
        float | None
    )  # mean of the episodes that it explored in, all or some of them with noise on the actions
    selection: Scores | None  # actual again, when the best of all rounds was chosen
    game_steps: int | None  # frames of the actual game used up to here
    others: tuple[
        float, ...
    ] = ()  # dream points in 1,000 steps of the dreams of other Ms, which it was evolved in too


@dataclass(frozen=True)
class StageDone:
    """One finished stage, as the pipeline wrote it down."""

    name: str
    round: int | None
    seconds: float | None
    summary: str
    rate: float | None
    unit: str
    peak_memory_mb: float | None


@dataclass(frozen=True, eq=False)
class RunData:
    """A run folder as the report sees it."""

    folder: RunFolder
    experiment: Mapping[str, Any]  # experiment.json
    curves: Mapping[str, Curves]  # "vision", "memory", "evolve", those that have any lines
    stages: Sequence[StageDone]
    rounds: Sequence[Round]
    scores: Mapping[str, Scores]  # "actual", "dream", "random", those that were evaluated
    best_round: int | None
    frames: int | None  # of the actual game, from which anything was learnt or by which anything was chosen
    unreadable: Sequence[str]  # a sentence for every file that is there and cannot be read

    @property
    def settings(self) -> Mapping[str, Any]:
        """The resolved settings of the run, nested."""
        return mapping(self.experiment.get("experiment"))

    @property
    def game(self) -> str | None:
        """Name of the game; None where experiment.json does not say."""
        game = self.settings.get("game")
        name = game.get("name") if isinstance(game, dict) else game
        return str(name) if name else None

    @property
    def in_the_game(self) -> frozenset[int]:
        """Rounds whose C learnt in the actual game and not in a dream."""
        worlds = mapping(self.settings.get("rounds")).get("worlds")
        return frozenset(round for round in self.searched if _at_round(worlds, round) == "actual")

    @property
    def by_gradient(self) -> frozenset[int]:
        """Rounds whose C learnt by policy gradient and not by evolution."""
        searches = mapping(self.settings.get("rounds")).get("searches")
        search = mapping(self.settings.get("evolution")).get("search")
        return frozenset(r for r in self.searched if _at_round(searches, r, search) == "gradient")

    def searches_of(self, round: int) -> int:
        """How many searches, each as long as the one in the log, a round's C is the mean of; 1 where it is of none."""
        members = whole(_at_round(mapping(self.settings.get("rounds")).get("ensemble"), round))
        return max(1, members or 1)

    @property
    def searched(self) -> frozenset[int]:
        """Rounds whose search of C has been written down."""
        return frozenset(self.curves["evolve"].ends if "evolve" in self.curves else ())


def read_run(folder: RunFolder) -> RunData:
    """Read everything but the media. Nothing missing, torn or strange stops it."""
    unreadable: list[str] = []

    def content(path: Path) -> Mapping[str, Any]:
        try:
            return mapping(read_json(path)) if path.exists() else {}
        except UserError as error:
            unreadable.append(str(error))
            return {}

    evaluations = {name: scores(content(folder.evaluation(name))) for name in ("actual", "dream", "random")}
    best = content(folder.best_controller)
    candidates = [mapping(entry) for entry in listed(best.get("candidates"))]
    selection = {whole(candidate.get("round")): scores(candidate) for candidate in candidates}
    rounds = [
        _round(number, content(path), selection.get(number))
        for number, path in numbered(folder.evaluation("round").parent, r"round-(\d+)\.json")
    ]
    frames = [round.game_steps for round in rounds] + [whole(best.get("game_steps"))]
    curves = {kind: read_curves(folder, kind, unreadable) for kind in ("vision", "memory", "evolve")}
    return RunData(
        folder=folder,
        experiment=content(folder.experiment),
        curves={kind: curve for kind, curve in curves.items() if curve is not None},
        stages=_stages(folder, unreadable),
        rounds=rounds,
        scores={name: score for name, score in evaluations.items() if score is not None},
        best_round=whole(best.get("round")),
        frames=max((count for count in frames if count is not None), default=None),
        unreadable=unreadable,
    )


def _at_round(schedule: object, round: int, otherwise: object = None) -> object:
    """What a schedule of the settings gives to a round: its last entry holds on."""
    entries = listed(schedule)
    return entries[min(round, len(entries) - 1)] if entries else otherwise


def stage_totals(stages: Sequence[StageDone]) -> list[StageDone]:
    """One row for each kind of stage, all rounds together, in the order in which they first came."""
    totals = {}
    for name in dict.fromkeys(stage.name for stage in stages):
        done = [stage for stage in stages if stage.name == name]
        memory = [stage.peak_memory_mb for stage in done if stage.peak_memory_mb is not None]
        rates = [(stage.rate, stage.seconds or 1) for stage in done if stage.rate is not None]
        mean = sum(rate * weight for rate, weight in rates) / (sum(weight for _, weight in rates) or 1)
        totals[name] = StageDone(
            name=name,
            round=None,
            seconds=sum(stage.seconds or 0 for stage in done),
            summary="",
            rate=mean if rates else None,
            unit=done[-1].unit,
            peak_memory_mb=max(memory, default=None),
        )
    return list(totals.values())


def scores(content: Mapping[str, Any]) -> Scores | None:
    """Scores from a JSON object, None where it has no mean."""
    mean = number(content.get("mean"))
    if mean is None:
        return None
    return Scores(
        mean,
        _spread(content.get("standard_error")),
        _spread(content.get("std")),
        whole(content.get("episodes")),
        numbers(content.get("scores")),
        content,
    )


def _spread(value: object) -> float | None:
    """A standard deviation or error, which is never negative."""
    found = number(value)
    return found if found is not None and found >= 0 else None


def _round(round: int, content: Mapping[str, Any], selection: Scores | None) -> Round:
    dream, actual = mapping(content.get("dream")), mapping(content.get("actual"))
    disturbed = numbers(actual.get("disturbed_scores"))
    others = numbers([mapping(other).get("per_1000_steps") for other in listed(dream.get("others"))])
    return Round(
        number=round,
        dream=scores(dream),
        per_1000_steps=number(dream.get("per_1000_steps")),
        actual=scores(actual),
        disturbed=sum(disturbed) / len(disturbed) if disturbed else None,
        game_steps=whole(content.get("game_steps")),
        selection=selection,
        others=others,
    )


def _stages(folder: RunFolder, unreadable: list[str]) -> list[StageDone]:
    path = folder.metrics("stages")
    done = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            entry = mapping(json.loads(line))
        except ValueError:
            unreadable.append(f"{path} has a line that is not JSON; it is left out")
            continue
        done.append(
            StageDone(
                name=str(entry.get("stage", "")),
                round=whole(entry.get("round")),
                seconds=number(entry.get("seconds")),
                summary=str(entry.get("summary") or ""),
                rate=number(entry.get("rate")),
                unit=str(entry.get("unit") or ""),
                peak_memory_mb=number(entry.get("peak_memory_mb")),
            )
        )
    return done
