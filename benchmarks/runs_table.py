"""Print the README's table of finished runs from their folders.

for seed in 0 1 2; do make demo SEED=$seed RUN=runs/demo-$seed; done
.venv/bin/python benchmarks/runs_table.py runs/demo-0 runs/demo-1 runs/demo-2
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sentences import in_a_sentence


def read(path: Path) -> dict[str, Any]:
    """A JSON object of a run folder."""
    return json.loads(path.read_text())


def score(result: dict[str, Any]) -> str:
    """`465 ± 172 (± 43)`: mean, standard deviation, standard error."""
    return f"{result['mean']:.0f} ± {result['std']:.0f} (± {result['standard_error']:.0f})"


def row(run: Path) -> list[str]:
    """One line of the table."""
    experiment = read(run / "experiment.json")["experiment"]
    stages = [json.loads(line) for line in (run / "metrics" / "stages.jsonl").read_text().splitlines()]
    best = read(run / "controller" / "best.json")
    rounds = [read(run / "evaluation" / f"round-{r:02d}.json") for r in range(experiment["rounds"]["count"])]
    by_round = ", ".join(f"{r['actual']['mean']:.0f} ± {r['actual']['standard_error']:.0f}" for r in rounds)
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) / 2**20
    return [
        str(experiment["seed"]),
        score(read(run / "evaluation" / "actual.json")),
        score(read(run / "evaluation" / "random.json")),
        by_round,
        str(best["round"]),
        f"{best.get('game_steps', rounds[-1]['game_steps']):,}",
        f"{sum(stage['seconds'] for stage in stages) / 60:.1f} min",
        f"{max(stage['peak_memory_mb'] for stage in stages) / 1024:.1f} GB",
        f"{size:.0f} MB",
    ]


def stage_rows(run: Path) -> list[list[str]]:
    """Seconds of each stage of one run, summed over its rounds."""
    seconds: dict[str, float] = {}
    for line in (run / "metrics" / "stages.jsonl").read_text().splitlines():
        stage = json.loads(line)
        seconds[stage["stage"]] = seconds.get(stage["stage"], 0.0) + stage["seconds"]
    return [[name, f"{total:.0f}"] for name, total in seconds.items()]


def table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    runs: list[Path] = parser.parse_args().runs
    header = [
        "seed",
        "actual score",
        "random policy",
        "each round's C (trials)",
        "round taken",
        "actual frames",
        "time",
        "peak memory",
        "disk",
    ]
    print(table(header, [row(run) for run in runs]))
    print("\nScores: mean ± standard deviation (± standard error). Trials: mean ± standard error.\n")
    print(f"Seconds by stage, all rounds, {runs[0]}:\n")
    print(table(["stage", "seconds"], stage_rows(runs[0])))


if __name__ == "__main__":
    in_a_sentence(main)
