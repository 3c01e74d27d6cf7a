"""Where a run begins that goes on from another one: at that one's V, M and C, of which it keeps copies."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from worldmodels.controller.linear import ControllerConfig
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.train import read_memory
from worldmodels.pipeline.work import Work, open_run
from worldmodels.report.data import read_run
from worldmodels.report.lenient import mapping, whole
from worldmodels.rollouts.latents import mirrored
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import link, read_json, write_atomically, write_json
from worldmodels.runs.folder import RunFolder, command_for
from worldmodels.runs.pretrained import run_folder
from worldmodels.runs.progress import progress
from worldmodels.runs.settings import differences, to_json
from worldmodels.vision.train import read_vision
from worldmodels.vision.vae import VAE

KINDS = ("vision", "memory", "controller")


def keep_start(run: RunFolder, experiment: Experiment) -> None:
    """Copy V, M and C of the run `experiment.start` into this one, unless they are there; its last C, or the chosen.

    With V alone (`experiment.start_with`) M and C stay where they are. The record beside the copies says how many
    frames of the actual game they have cost: these are this run's too.

    Raises:
        UserError: when that is no run of this game with a C, its V or M is built otherwise than this run's is to be,
            or it is no longer what this run began at.
    """
    kinds = KINDS if experiment.begins_at_memory else KINDS[:1]
    kept = [kind for kind in kinds if run.start(kind).exists()]
    if not experiment.start or (len(kept) == len(kinds) and run.start_record.exists()):
        return
    source = open_run(run_folder(experiment.start), "cpu")
    if source.experiment.game != experiment.game:
        raise UserError(
            f"--start {experiment.start} is a run of {source.experiment.game}, and this one is of {experiment.game}"
        )
    parts = source.best()
    # Heads that only learning asks may come to an M, or leave it.
    built = [to_json(replace(m, latents_ahead=())) for m in (experiment.mdn_rnn, parts.memory.config)]
    ours = {"vae.latent_size": experiment.vae.latent_size, "mdn_rnn": built[0]}
    theirs = {"vae.latent_size": parts.vision.config.latent_size, "mdn_rnn": built[1]}
    if not experiment.begins_at_memory:
        theirs["mdn_rnn"] = ours["mdn_rnn"]
    if differing := differences(theirs, ours):
        raise UserError(
            f"V and M of --start {experiment.start} are built otherwise ({'; '.join(differing[:3])}): give this run "
            "the same settings, or for another M type --start-with vision"
        )
    if experiment.collect.takes_games:
        refuse_without_games(source, experiment)
    paths = {
        "vision": source.run.vision(source.vision_round(parts.round)),
        "memory": source.run.memory(source.memory_round(parts.round)),
        "controller": source.run.controller(parts.round),
    }
    paths = {kind: paths[kind] for kind in kinds}
    sha256 = {kind: load_checkpoint(path, kind=kind).sha256 for kind, path in paths.items()}
    record = {
        "run": experiment.start,
        "round": parts.round,
        "with_m": experiment.begins_at_memory,
        "with_c": experiment.begins_at_memory
        and leads_to(parts.config, experiment, 0)
        and not experiment.evolution.afresh,
        "with_games": experiment.collect.takes_games,
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
    print(f"begins at {taken(record)} of {experiment.start}", file=sys.stderr, flush=True)


def taken(record: Mapping[str, Any]) -> str:
    """What a run has taken from the one at which it began, by the record of it: "V, M and C"."""
    parts = ["V"] + ["M"] * bool(record.get("with_m", True)) + ["C"] * bool(record.get("with_c"))
    parts += ["the games"] * bool(record.get("with_games"))
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def vision_at_start(work: Work) -> VAE | None:
    """V at which the run's first one begins; None: at random."""
    return read_vision(work.run.start("vision"), work.device)[0] if work.experiment.start else None


def memory_at_start(work: Work) -> MDNRNN | None:
    """M at which the run's first one begins; None: at random."""
    begins = work.experiment.begins_at_memory
    return read_memory(work.run.start("memory"), None, work.device)[0] if begins else None


def take_over(work: Work, kind: str, path: Path) -> None:
    """V or M at which the run began as that of its first round. UserError for a damaged one, which is not passed on."""
    load_checkpoint(work.run.start(kind), kind=kind)
    write_atomically(path, work.run.start(kind).read_bytes())


def refuse_without_games(source: Work, experiment: Experiment) -> None:
    """UserError unless that run has its games, played at our pace: a release has none."""
    if source.experiment.action_repeat != experiment.action_repeat:
        raise UserError(
            f"--start {experiment.start} held its actions for {source.experiment.action_repeat} steps, and this run "
            f"for {experiment.action_repeat}: its games cannot be learnt from; choose another --collect.exploration"
        )
    if not any(len(store) for store in stores(source)):
        raise UserError(
            f"{experiment.start} has no games to learn from: name a run that was trained here, or choose another "
            "--collect.exploration"
        )


def stores(work: Work) -> list[EpisodeStore]:
    """The games of all rounds of a run, those that were played to choose or score its last C left out."""
    return [work.store(round) for round in range(work.experiment.rounds.count)]


def take_games(work: Work) -> int:
    """All games of the run at which this one began, as those of its first round; returns their number.

    Links where they lie on the same disk, else copies; with what that run's V has made of them, which is this one's V
    as long as it stays as it is. Those that are there already stay.
    """
    source = open_run(run_folder(work.experiment.start), "cpu")
    refuse_without_games(source, work.experiment)
    games = [(r, store, index) for r, store in enumerate(stores(source)) for index in store.indices()]
    own, latents = work.store(0), work.run.latents(0)
    with progress("take-games", len(games), "episodes") as bar:
        for number, (r, store, index) in enumerate(games):
            name, theirs = own.path(number).name, source.run.latents(r)
            encoded = [(theirs, latents), (mirrored(theirs), mirrored(latents))]
            for here, there in [(folder / store.path(index).name, to / name) for folder, to in encoded]:
                if here.exists():
                    link(here, there)
            link(store.path(index), own.path(number))
            bar.advance()
    return len(games)


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
