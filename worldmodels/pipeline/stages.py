"""The order of a run: collect, vision, encode, memory, evolve, and round again; then select, evaluate, report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from worldmodels.experiments import at_round
from worldmodels.pipeline.ending import evaluate_run, report_run, select
from worldmodels.pipeline.rounds import (
    all_collected,
    all_encoded,
    collect_round,
    encode_round,
    evolve_round,
    memory_round,
    vision_round,
)
from worldmodels.pipeline.stage import Done, Stage
from worldmodels.pipeline.work import Work


def plan(work: Work) -> list[Stage]:
    """Every stage of the run, in order."""
    run, rounds = work.run, work.experiment.rounds
    stages: list[Stage] = []

    def add(
        name: str,
        round: int,
        makes: str,
        stage: Callable[[Work, int], Done],
        whole: Callable[[Work, int], bool] = lambda work, round: True,
    ) -> None:
        paths = {
            "collect": (run.collected(round), *([run.evaluation(f"round-{round - 1:02d}")] if round else [])),
            "vision": (run.vision(round),),
            "encode": (run.encoded(round),),
            "memory": tuple(run.memory(round, d) for d in range(at_round(rounds.dreamers, round))),
            "evolve": (run.controller(round), run.dream_score(round)),
            "select": (run.best_controller,),
            "evaluate": (run.evaluation("actual"), run.evaluation("dream")),
            "report": (run.report, run.finished),  # the first may be written early, by hand
        }[makes]
        stages.append(Stage(name, round, paths, partial(stage, work, round), partial(whole, work, round)))

    for round in range(rounds.count):
        add("collect", round, "collect", collect_round, all_collected)
        if round == 0 or at_round(rounds.vision_steps, round):
            add("vision", round, "vision", vision_round)
        add("encode", round, "encode", encode_round, all_encoded)
        if round == 0 or at_round(rounds.memory_steps, round):
            add("memory", round, "memory", memory_round)
        add("evolve", round, "evolve", evolve_round)
    last = rounds.count
    add("collect", last, "collect", collect_round, all_collected)
    add("select", last, "select", select)
    add("evaluate", last, "evaluate", evaluate_run)
    add("report", last, "report", report_run)
    return stages
