"""Another M on a run's V and games: `python benchmarks/another_memory.py RUN OUT [SETTING=VALUE ...] --steps N`.

What does a way of training M, or another size of it, do to the dreams? An M is trained from nothing on all latents of
a round, by the run's settings but for those that are given, such as

    python benchmarks/another_memory.py runs/dream runs/plain --steps 2500
    python benchmarks/another_memory.py runs/dream runs/dropout memory.dropout=0.1 dream.dropout=0.1 --steps 2500
    python benchmarks/another_memory.py runs/dream runs/wide mdn_rnn.hidden_size=512 --steps 2500

OUT becomes a run folder of its own, whose games, latents and V are those of RUN (hard links, no copies). What Cs do in
its dreams, and then in the game, says `python benchmarks/searches.py OUT NAME --round R`. Stopped, the same command
goes on.
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import replace
from pathlib import Path

from searches import OF_A_SEARCH, with_settings
from sentences import in_a_sentence

from worldmodels.errors import UserError
from worldmodels.experiments import Experiment, at_round
from worldmodels.memory.train import load_memory, train_memory
from worldmodels.pipeline.train import consistent
from worldmodels.pipeline.work import Work, open_run
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.lock import locked
from worldmodels.runs.settings import to_json

OF_A_MEMORY = ("memory", "mdn_rnn", *OF_A_SEARCH)  # groups of settings that V and the games know nothing of
SHARED = ("rollouts", "latents", "vision")


def main() -> None:
    """Link, train and say what comes next."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a run that has its games and latents")
    parser.add_argument("out", type=Path, help="run folder to make, on the same disk")
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE", help=f"of {', '.join(OF_A_MEMORY)}")
    parser.add_argument("--round", type=int, help="on the latents until then (default: the run's last)")
    parser.add_argument("--steps", type=int, required=True, help="of M's training")
    options = parser.parse_args()
    if options.steps < 1:
        raise UserError(f"--steps must be at least 1, got {options.steps}")
    work = open_run(RunFolder(options.run), "cpu")
    round = work.experiment.rounds.count - 1 if options.round is None else options.round
    if not 0 <= round < work.experiment.rounds.count:
        raise UserError(f"--round must lie in 0..{work.experiment.rounds.count - 1}, got {round}")
    if not work.run.encoded(round).exists():
        raise UserError(f"{work.run.path} has no latents of round {round}; give a run that was trained here")
    experiment = for_one_memory(work.experiment, options.settings, round, options.steps)
    fork(work, experiment, RunFolder(options.out))
    with locked(options.out):
        learn(open_run(RunFolder(options.out), "cpu"), round, options.steps)
    print(f"python benchmarks/searches.py {options.out} NAME --round {round}")


def for_one_memory(experiment: Experiment, settings: list[str], round: int, steps: int) -> Experiment:
    """The run's settings with others. M of the rounds before is not there, and that of this one grows from nothing."""
    changed = with_settings(experiment, settings, OF_A_MEMORY)
    before = [at_round(changed.rounds.memory_steps, r) for r in range(round)]
    rounds = replace(changed.rounds, memory_steps=(*before, steps), memory_rates=())
    return consistent(replace(changed, rounds=rounds))


def fork(work: Work, experiment: Experiment, out: RunFolder) -> None:
    """A run folder of these settings with the games, latents and V of `work`.

    Raises:
        UserError: when something else is at its place, or no file of another folder can be linked to there.
    """
    if out.experiment.exists():
        if open_run(out, "cpu").experiment != experiment:
            raise UserError(f"{out.path} was made by other settings: choose another OUT")
        return
    if out.path.exists():
        raise UserError(f"{out.path} exists and is no run: choose another OUT")
    making = RunFolder(out.path.with_name(f"{out.path.name}.tmp"))
    shutil.rmtree(making.path, ignore_errors=True)  # left behind by one that was stopped
    try:
        for name in SHARED:
            shutil.copytree(work.run.path / name, making.path / name, copy_function=os.link)
        record = read_json(work.run.experiment) | {"experiment": to_json(experiment)}
        write_json(making.experiment, record)
        making.path.replace(out.path)
    except OSError as error:  # shutil.Error is one
        raise UserError(f"{out.path} cannot be made: choose an OUT on the disk of {work.run.path}") from error
    finally:
        shutil.rmtree(making.path, ignore_errors=True)


def learn(work: Work, round: int, steps: int) -> None:
    """Train M, unless it is there."""
    experiment, (_, sha256) = work.experiment, work.vision(round)
    if work.run.memory(round).exists():
        load_memory(work.run, round, sha256)
        return
    train_memory(
        work.run,
        experiment.mdn_rnn,
        replace(experiment.learning(round), steps=steps),
        work.latents(round, with_mirrored=experiment.mirror),
        round=round,
        seed=experiment.seed,
        device=work.device,
        made_from={"vision": sha256},
        save_every=experiment.save_every,
    )


if __name__ == "__main__":
    in_a_sentence(main)
