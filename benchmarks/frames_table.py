"""Print frames of the actual game against the actual score: our runs, and PPO's beside them.

    python benchmarks/ppo.py --run runs/ppo --frames 50000 100000 200000 500000
    python benchmarks/frames_table.py runs/demo-0 runs/demo-1 --ppo runs/ppo/ppo.json --picture docs/pictures/frames.png

Each C stands at the frames that had been played when it was made: all rollouts until then, those that tried the Cs
before it included, and what it and those before it were evolved in, where that was the actual game. What was played
later, to score it, is not counted. Episodes that chose a C are: those of `evolution.select_actual` at full length, and
for the C that a run took out of several candidates all that was played until it was taken.

Rounds are scored by their trials, which the run's own backend plays; the C that was taken also by the final score, and
PPO by `benchmarks/ppo.py`, both in Gymnasium's game on fresh tracks.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from worldmodels.envs.game import game
from worldmodels.errors import UserError
from worldmodels.runs.files import write_atomically

OURS, PPO, LINE = ("#2563a8", "#0f766e", "#6d28d9", "#be185d"), ("#9a3412", "#b45309", "#6b7280"), "#e5e7eb"
ROUND = re.compile(r"round-(\d+)")


@dataclass(frozen=True)
class Point:
    """A score, and what it had cost."""

    name: str  # of the run
    what: str  # "round 3, trials", "final score", "PPO"
    frames: int  # of the actual game, when what is scored was made
    mean: float
    standard_error: float
    episodes: int


def read(path: Path) -> dict[str, Any]:
    """A JSON object; UserError where there is none."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); give run folders and, after --ppo, ppo.json"
        ) from error


def frames_before(run: Path, round: int) -> int | None:
    """Frames of the actual game that a round's V, M and C were made from; None where the run does not say it.

    What a round collected says how much had been played in all by then. A release has no rollouts, but the score of the
    round before was written at the same moment.
    """
    collected, scored = run / "rollouts" / f"round-{round:02d}.json", score_path(run, round - 1)
    if collected.exists():
        played = read(collected)["game_steps"]
    elif round > 0 and scored.exists():
        played = read(scored)["game_steps"]
    else:
        return None
    evolved = read(score_path(run, round))["dream"].get("game_steps", 0)  # of that round's C alone
    return played + evolved + frames_of_choosing(run, round)


def frames_of_choosing(run: Path, last: int) -> int:
    """Frames, at most, of the episodes that chose among the generations of the Cs until round `last`."""
    dreams = [read(score_path(run, round))["dream"] for round in range(last + 1)]
    episodes = sum(dream.get("selected", {}).get("actual_episodes", 0) for dream in dreams)
    return episodes * game(read(run / "experiment.json")["experiment"]["game"]).max_steps


def frames_until_taken(run: Path, round: int) -> int | None:
    """Frames of the actual game that the C of the final score had cost when it was taken."""
    experiment = read(run / "experiment.json")["experiment"]
    if experiment["evaluation"]["candidates"] == 1:
        return frames_before(run, round)  # the last round's C is taken, whatever its trials were
    rounds = experiment["rounds"]["count"]
    return read(run / "controller" / "best.json")["game_steps"] + frames_of_choosing(run, rounds - 1)


def points_of(run: Path) -> list[Point]:
    """The Cs of a run that have been scored in the actual game, round by round, and the final score."""
    found = []
    paths = sorted((run / "evaluation").glob("round-*.json"))
    for round in (int(match[1]) for path in paths if (match := ROUND.fullmatch(path.stem))):
        if (frames := frames_before(run, round)) is not None:
            actual = read(score_path(run, round))["actual"]
            found.append(_point(run.name, f"round {round}, trials", frames, actual))
    final = run / "evaluation" / "actual.json"
    if final.exists():
        score = read(final)
        frames = frames_until_taken(run, score["controller_round"])
        if frames is not None:
            found.append(
                _point(run.name, f"final score, of round {score['controller_round']}", frames, score)
            )
    if not found:
        raise UserError(
            f"{run} has no scores of the actual game yet; give a run folder with evaluation/*.json"
        )
    return found


def points_of_ppo(path: Path) -> list[Point]:
    """The milestones of a ppo.json."""
    return [
        _point(path.resolve().parent.name, "PPO", score["frames"], score)
        for score in read(path)["milestones"]
    ]


def score_path(run: Path, round: int) -> Path:
    """Where a run has the scores of a round's C, in its dream and in its trials."""
    return run / "evaluation" / f"round-{round:02d}.json"


def _point(name: str, what: str, frames: int, score: dict[str, Any]) -> Point:
    return Point(name, what, frames, score["mean"], score["standard_error"], score["episodes"])


def markdown(points: Sequence[Point]) -> str:
    """The table."""
    lines = [["run", "what", "frames of the actual game", "actual score", "episodes"], ["---"] * 5]
    for point in points:
        score = f"{point.mean:.0f} ± {point.standard_error:.0f}"
        lines.append([point.name, point.what, f"{point.frames:,}", score, str(point.episodes)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write_picture(path: Path, ours: Sequence[Sequence[Point]], theirs: Sequence[Sequence[Point]]) -> None:
    """Draw frames against score, a line for each run; ± is the standard error. The file is renamed into its place."""
    if path.suffix not in (".svg", ".png"):
        raise UserError(f"--picture must end in .svg or .png, got {path}")
    with mpl.rc_context({"font.size": 10.0, "svg.hashsalt": "frames", "axes.spines.top": False}):
        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        axes = figure.subplots()
        for label, runs, colors in (("world model", ours, OURS), ("PPO", theirs, PPO)):
            for number, run in enumerate(runs):
                trials = [point for point in run if not point.what.startswith("final")]
                final = [point for point in run if point.what.startswith("final")]
                for points, style in ((trials, "o-"), (final, "D")):
                    axes.errorbar(
                        [point.frames for point in points],
                        [point.mean for point in points],
                        yerr=[point.standard_error for point in points],
                        fmt=style,
                        color=colors[number % len(colors)],
                        markersize=4 if style == "o-" else 7,
                        capsize=2,
                        label=f"{label}: {run[0].name}" if points is (trials or final) else None,
                    )
        axes.set(xscale="log", xlabel="frames of the actual game")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_title("score in the actual game, ± standard error; ◆ the final score", loc="left")
        axes.grid(color=LINE)
        axes.set_axisbelow(True)
        axes.spines[["right"]].set_visible(False)
        figure.legend(loc="outside lower center", frameon=False, ncols=3, columnspacing=1.2, fontsize="small")
        buffer = io.BytesIO()
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(buffer, format=path.suffix[1:], dpi=150, metadata=metadata)
    write_atomically(path, buffer.getvalue())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and draw the picture; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--ppo", nargs="+", type=Path, default=[], metavar="ppo.json")
    parser.add_argument("--picture", type=Path, metavar="FILE.png|.svg")
    asked = parser.parse_args(arguments)
    try:
        ours = [points_of(run) for run in asked.runs]
        theirs = [points_of_ppo(path) for path in asked.ppo]
        if asked.picture:
            write_picture(asked.picture, ours, theirs)
    except UserError as error:
        print(f"frames_table: {error}", file=sys.stderr)
        return 2
    print(markdown([point for run in (*ours, *theirs) for point in run]))
    print(
        "\nScores: mean ± standard error. Frames: what had been played when it was made, not what then scored it."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
