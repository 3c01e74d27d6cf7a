"""Begin a run, go on with it, stage by stage."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from worldmodels.envs.game import game
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.pipeline.stage import Done, Stage
from worldmodels.pipeline.stages import plan
from worldmodels.pipeline.start import keep_start
from worldmodels.pipeline.work import Work, open_run
from worldmodels.runs.device import choose_device
from worldmodels.runs.files import write_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.lock import locked
from worldmodels.runs.machine import git_commit, machine, peak_memory_mb, versions
from worldmodels.runs.metrics import read_metrics
from worldmodels.runs.pretrained import refuse_released
from worldmodels.runs.progress import duration
from worldmodels.runs.settings import differences, to_json
from worldmodels.worlds.state import feature_size

BEGUN = {".lock", "experiment.json.tmp", "start"}  # all that a beginning which was killed leaves behind


def begin(run: RunFolder, experiment: Experiment, device: str, go_on: bool = False) -> Work:
    """Open a run, or begin it where there is none.

    Args:
        experiment: the settings asked for.
        go_on: a run that was begun keeps its settings, whatever they are; only the game must be the one asked for.
    Raises:
        UserError: when the run was begun with other settings, the folder is something else, or what the settings ask
            for is not on this machine.
    """
    refuse_released(run, "trained on")
    if run.experiment.exists():
        work = open_run(run, device)
        if work.experiment.game != experiment.game:
            raise UserError(
                f"{run.path} is a run of {work.experiment.game}: type `worldmodels train {work.experiment.game} --run "
                f"{run.path}` to go on with it, or choose another --run"
            )
        if go_on:
            keep_start(run, work.experiment)
            return work
        if changed := differences(to_json(work.experiment), to_json(consistent(experiment))):
            raise UserError(
                f"{run.path} was begun with other settings ({'; '.join(changed[:3])}): leave them out to go on with "
                "it, or choose another --run"
            )
        return work
    if run.path.exists() and (not run.path.is_dir() or {path.name for path in run.path.iterdir()} - BEGUN):
        raise UserError(f"{run.path} exists and is not a run folder; choose another --run")
    work = Work(run, consistent(experiment), choose_device(device))
    for open_games in (work.pool, work.search_pool):
        with open_games() as pool:  # says what is missing while there is nothing to go back on
            pool.reset([0])
    record = {
        "experiment": to_json(work.experiment),
        "versions": versions(),
        "machine": machine(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["worldmodels", *sys.argv[1:]]),
        "git_commit": git_commit(),
    }
    with locked(run.path):
        if not run.experiment.exists():
            keep_start(run, work.experiment)
            write_json(run.experiment, record)
            return work
    return begin(run, experiment, device, go_on)  # another process was faster


def consistent(experiment: Experiment) -> Experiment:
    """Set the sizes that follow from others: from `vae.latent_size`, `mdn_rnn.hidden_size` and the game's actions."""
    spec = game(experiment.game)
    latent = experiment.vae.latent_size
    mdn_rnn = replace(experiment.mdn_rnn, latent_size=latent, action_size=spec.action_size)
    try:
        size = feature_size(experiment.controller.features, latent, mdn_rnn.hidden_size)
    except ValueError as error:
        raise UserError(f"--controller.features: {error}") from error
    controller = replace(experiment.controller, feature_size=size, action_kinds=spec.action_kinds)
    return replace(experiment, mdn_rnn=mdn_rnn, controller=controller)


def train(work: Work) -> None:
    """Run every stage that is not finished yet."""
    with locked(work.run.path):
        stages = plan(work)
        if all(stage.finished for stage in stages):
            print(f"nothing left to do in {work.run.path}; open {work.run.report}")
        for number, stage in enumerate(stages, 1):
            if not stage.finished:
                _run(work, stage, f"[{number:2d}/{len(stages)}]")


def run_stage(work: Work, name: str) -> None:
    """Run the stage `name` of the round that the run has come to; nothing when all of that name are finished.

    Raises UserError when other stages come first.
    """
    refuse_released(work.run, "trained on")
    with locked(work.run.path):
        stages = plan(work)
        following = next((stage for stage in stages if not stage.finished), None)
        mine = [stage for stage in stages if stage.name == name and not stage.finished]
        if not mine:
            print(f"{name}: nothing left to do in {work.run.path}")
            return
        assert following is not None
        if following.name != name:
            raise UserError(
                f"{name} needs what comes before it in round {following.round}; run `worldmodels {following.name} "
                f"{work.run.path}` first, or `worldmodels train {work.experiment.game} --run {work.run.path}` for "
                "everything"
            )
        _run(work, following, f"[{stages.index(following) + 1:2d}/{len(stages)}]")


def _run(work: Work, stage: Stage, number: str) -> None:
    began, before = time.monotonic(), _seconds_before(work.run, stage)
    print(f"{number} {stage.name}, round {stage.round} ...", flush=True)
    try:
        done = stage.run()
    except BaseException:
        with contextlib.suppress(OSError):  # a full disk has been reported already
            _log(work, stage, Done("stopped"), time.monotonic() - began, None)
        raise
    seconds = time.monotonic() - began
    total = before + seconds
    rate = done.count / total if done.count else None
    pace = f" ({rate:,.0f} {done.unit}/s)" if rate else ""
    print(
        f"{number} {stage.name}, round {stage.round}: {done.summary}, in {duration(total)}{pace}",
        flush=True,
    )
    _log(work, stage, done, seconds, rate)


def _seconds_before(run: RunFolder, stage: Stage) -> float:
    """What earlier processes have put into a stage that they did not finish; those that were killed wrote nothing."""
    try:
        lines = read_metrics(run, "stages")
        return sum(
            line["seconds"] for line in lines if (line["stage"], line["round"]) == (stage.name, stage.round)
        )
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ):  # a log is for people: a damaged one stops nothing
        return 0.0


def _log(work: Work, stage: Stage, done: Done, seconds: float, rate: float | None) -> None:
    path = work.run.metrics("stages")
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "stage": stage.name,
        "round": stage.round,
        "seconds": round(seconds, 2),
        "summary": done.summary,
        "rate": rate,
        "unit": done.unit,
        "peak_memory_mb": round(peak_memory_mb()),
    }
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
