"""How many frames of the actual game direct reinforcement learning needs: PPO, on CarRacing-v3 from pixels.

    pip install -c constraints.txt -e '.[ppo]'
    python benchmarks/ppo.py --run runs/ppo --frames 50000 100000 200000 500000
    python benchmarks/frames_table.py runs/demo --ppo runs/ppo/ppo.json

PPO is that of Stable-Baselines3, with the settings that the RL Baselines3 Zoo tuned for CarRacing-v0
(hyperparams/ppo.yml): network, gSDE, 8 cars, frames 64x64 in gray of which two are seen, normalised rewards.
What differs from the Zoo: an action is held for 4 steps of the game, as our demo's agent holds it, where the Zoo skips
2; the indicator bar is cut off, as for our V; the game is CarRacing-v3; and the rate falls to zero over the largest
number of --frames, where the Zoo has 4 million decisions. So a milestone on the way is not what a run of that length
would give.

Frames are steps of the actual game, as ours are counted: all those for which an action was held, fewer than 4 where an
episode ended. The first update at or after each milestone is scored, without noise, on whole episodes of Gymnasium's
game on tracks that are nowhere else, by the code that scores our agents; the frames of these are not counted.

RUN/ppo.json has the scores. RUN/ppo.safetensors is written at each milestone, every few minutes, and at Ctrl-C, which
waits for an update under way; the same command goes on from there. Then all cars begin new episodes on new tracks, and
what was played since the last save is lost and not counted: the result is as good, but not the same to the last bit.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ppo_car import Driver, scoring_track
from ppo_learner import Learner, Plan, PPOSettings, Spent, library

from worldmodels.envs.car_racing import CAR_RACING
from worldmodels.envs.pool import open_pool
from worldmodels.errors import UserError
from worldmodels.evaluation.score import score_policy
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.device import choose_device
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.interrupt import deferred_interrupt
from worldmodels.runs.lock import locked
from worldmodels.runs.machine import git_commit, machine, peak_memory_mb, versions
from worldmodels.runs.progress import progress
from worldmodels.runs.settings import differences

SAVE_EVERY = 180.0  # seconds
AT_ONCE = 16  # episodes that are scored at once
SHOWN = 20  # episodes in the mean that the progress shows


def train(
    run: Path,
    plan: Plan,
    device: torch.device,
    processes: bool = False,
    command: str = "",
    save_every: float = SAVE_EVERY,
) -> dict[str, Any]:
    """Learn and be scored until the last milestone, or go on with it. Returns the content of ppo.json."""
    library("")
    record_path, state_path = run / "ppo.json", run / "ppo.safetensors"
    with locked(run):
        record = begun(record_path, plan, command)
        done = [milestone["asked"] for milestone in record["milestones"]]
        waiting = [asked for asked in plan.frames if asked not in done]
        if not waiting:
            return record
        state = load_checkpoint(state_path, kind="ppo") if state_path.exists() else None
        if state is not None and differences(state.config, asdict(plan)):
            raise UserError(f"{state_path} is of other settings; delete it, or choose another --run")
        if state is None and done:
            raise UserError(f"{state_path} is gone, and {record_path} goes on from it; choose another --run")
        learner = Learner(plan, Spent(**state.progress) if state else Spent(), device, processes)
        if state:
            learner.restore(state.weights)
        try:
            for asked in waiting:
                learn_until(asked, learner, state_path, save_every)
                record["milestones"].append(scored(asked, learner))
                write_json(record_path, record)
                learner.save(state_path)
        finally:
            learner.model.env.close()
        return record


def begun(path: Path, plan: Plan, command: str) -> dict[str, Any]:
    """The record of the run, a new one where there is none. UserError where it was begun with another plan."""
    if not path.exists():
        record = {
            "method": "PPO (Stable-Baselines3)",
            "game": CAR_RACING.name,
            "plan": asdict(plan),
            "versions": versions() | {"stable-baselines3": version("stable-baselines3")},
            "machine": machine(),
            "git_commit": git_commit(),
            "command": command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "milestones": [],
        }
        write_json(path, record)
    record = read_json(path)
    if found := differences(record["plan"], asdict(plan)):
        raise UserError(
            f"{path.parent} was begun with other settings ({'; '.join(found)}); choose another --run"
        )
    return record


def learn_until(frames: int, learner: Learner, path: Path, save_every: float) -> None:
    """Update until so many frames have been played, and save."""
    spent, saved, scores = learner.spent, time.monotonic(), []
    if spent.frames >= frames:
        return
    with (
        deferred_interrupt() as interrupt,
        progress("ppo", learner.plan.frames[-1], "frames", start=spent.frames) as bar,
    ):
        while spent.frames < frames:
            played = learner.update(interrupt)
            if played:
                scores = [*scores, *played.scores][-SHOWN:]
                bar.advance(played.frames, **({"training_score": float(np.mean(scores))} if scores else {}))
            due = spent.frames >= frames or time.monotonic() - saved > save_every
            if due or interrupt.requested:
                learner.save(path)
                saved = time.monotonic()
            if interrupt.requested:
                raise KeyboardInterrupt


def scored(asked: int, learner: Learner) -> dict[str, Any]:
    """One entry of ppo.json's milestones: what had been spent, and the score of the policy without noise."""
    plan, spent, hold = learner.plan, learner.spent, learner.plan.settings.hold
    seeds = [scoring_track(plan.seed, asked, episode) for episode in range(plan.episodes)]
    driver = Driver(learner.choose, plan.settings.frame_stack)
    with open_pool(CAR_RACING, "gymnasium", hold) as pool:
        score = score_policy(
            pool, driver, -(-CAR_RACING.max_steps // hold), hold, seeds, AT_ONCE, plan.seed
        ).as_json(backend="gymnasium")
    spent.scoring += score["seconds"]
    kept = ("mean", "std", "standard_error", "episodes", "scores", "backend")
    return {
        "asked": asked,
        "frames": spent.frames,
        "updates": spent.updates,
        **{name: score[name] for name in kept},
        "seconds": spent.playing + spent.learning,  # without those of the scoring
        "playing_seconds": spent.playing,
        "learning_seconds": spent.learning,
        "scoring_seconds": spent.scoring,
        "peak_memory_mb": peak_memory_mb(),  # of this sitting's main process
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Learn; returns the exit code, as `worldmodels` has it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True, help="folder to write to, and to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--frames", type=int, nargs="+", default=[50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000]
    )
    parser.add_argument("--episodes", type=int, default=16, help="of each score")
    parser.add_argument("--processes", action="store_true", help="a process for each car")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    asked = parser.parse_args(arguments)
    os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"  # no window
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    command = shlex.join(["python", *(sys.argv if arguments is None else [__file__, *arguments])])
    try:
        plan = Plan(asked.seed, tuple(asked.frames), asked.episodes, PPOSettings())
        record = train(asked.run, plan, choose_device(asked.device), asked.processes, command)
    except UserError as error:
        print(f"ppo: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nppo: stopped; the same command goes on from the last update", file=sys.stderr)
        return 130
    for milestone in record["milestones"]:
        print(
            f"{milestone['frames']:,} frames: {milestone['mean']:.0f} ± {milestone['standard_error']:.0f} "
            f"(standard error, {milestone['episodes']} episodes)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
