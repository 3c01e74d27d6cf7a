"""Where a run begins that goes on from another one: at that one's V, M and C, of which it keeps copies."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.train import read_memory
from worldmodels.pipeline.work import Work, open_run
from worldmodels.report.data import read_run
from worldmodels.report.lenient import mapping, whole
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_atomically, write_json
from worldmodels.runs.folder import RunFolder, command_for
from worldmodels.runs.pretrained import run_folder
from worldmodels.runs.settings import differences, to_json
from worldmodels.vision.train import read_vision
from worldmodels.vision.vae import VAE

KINDS = ("vision", "memory", "controller")


def keep_start(run: RunFolder, experiment: Experiment) -> None:
    """Copy V, M and C of the run `experiment.start` into this one, unless they are there; its last C, or the chosen.

    The record beside them says how many frames of the actual game they have cost: these are this run's too.

    Raises:
        UserError: when that is no run of this game with a C, its V or M is built otherwise than this run's is to be,
            or it is no longer what this run began at.
    """
    kept = [kind for kind in KINDS if run.start(kind).exists()]
    if not experiment.start or (len(kept) == len(KINDS) and run.start_record.exists()):
        return
    source = open_run(run_folder(experiment.start), "cpu")
    if source.experiment.game != experiment.game:
        raise UserError(
            f"--start {experiment.start} is a run of {source.experiment.game}, and this one is of {experiment.game}"
        )
    parts = source.best()
    ours = {"vae.latent_size": experiment.vae.latent_size, "mdn_rnn": to_json(experiment.mdn_rnn)}
    theirs = {"vae.latent_size": parts.vision.config.latent_size, "mdn_rnn": to_json(parts.memory.config)}
    if differing := differences(theirs, ours):
        raise UserError(
            f"V and M of --start {experiment.start} are built otherwise ({'; '.join(differing[:3])}): give this run "
            "the same settings"
        )
    paths = {
        "vision": source.run.vision(source.vision_round(parts.round)),
        "memory": source.run.memory(source.memory_round(parts.round)),
        "controller": source.run.controller(parts.round),
    }
    sha256 = {kind: load_checkpoint(path, kind=kind).sha256 for kind, path in paths.items()}
    record = {
        "run": experiment.start,
        "round": parts.round,
        "with_c": leads_to(parts.config, experiment, 0) and not experiment.evolution.afresh,
        "command": read_json(source.run.experiment).get("command"),
        "game_steps": read_run(source.run).frames or 0,
        "sha256": sha256,
    }
    began = {kind: load_checkpoint(run.start(kind), kind=kind).sha256 for kind in kept}
    if run.start_record.exists():
        began |= mapping(mapping(read_json(run.start_record)).get("sha256"))
    if any(sha256.get(kind) != known for kind, known in began.items()):
        raise UserError(f"{experiment.start} is no longer what {run.path} began at; begin another run")
    write_json(run.start_record, record)  # first: with the copies all is there
    for kind, path in paths.items():
        write_atomically(run.start(kind), path.read_bytes())
    what = "V, M and C" if record["with_c"] else "V and M"
    print(f"begins at the {what} of {experiment.start}", file=sys.stderr, flush=True)


def vision_at_start(work: Work) -> VAE | None:
    """V at which the run's first one begins; None: at random."""
    return read_vision(work.run.start("vision"), work.device)[0] if work.experiment.start else None


def memory_at_start(work: Work) -> MDNRNN | None:
    """M at which the run's first one begins; None: at random."""
    return read_memory(work.run.start("memory"), None, work.device)[0] if work.experiment.start else None


def take_over(work: Work, kind: str, path: Path) -> None:
    """V or M at which the run began as that of its first round. UserError for a damaged one, which is not passed on."""
    load_checkpoint(work.run.start(kind), kind=kind)
    write_atomically(path, work.run.start(kind).read_bytes())


def leads_to(config: ControllerConfig, experiment: Experiment, round: int) -> bool:
    """Whether a C that is built so can be gone on with in a round: where its shape is the same, or has no hidden layer.

    A hidden layer comes to a C of one layer where it learns by gradient; evolution has no use for the other units.
    """
    ours = experiment.built(round)
    widens = experiment.search(round) == "gradient" and ours.hidden >= ours.action_size
    return config == ours or (widens and config == replace(ours, hidden=0))


def frames_at_start(work: Work) -> int:
    """Frames of the actual game that have made what the run began at. UserError where its record does not say."""
    if not work.experiment.start:
        return 0
    path = work.run.start_record
    played = whole(mapping(read_json(path)).get("game_steps"))
    if played is None:
        raise UserError(f"{path} does not say how much was played; delete it and run `{command_for(path)}`")
    return played
