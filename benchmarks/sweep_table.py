"""Print a run's sweep over temperatures as a markdown table.

.venv/bin/worldmodels sweep runs/demo --seeds 3
.venv/bin/python benchmarks/sweep_table.py runs/demo
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from sentences import in_a_sentence

from worldmodels.pipeline.table import error_is_over, mean_error_std
from worldmodels.report.published import TABLES


def published(game: str, temperature: float | None) -> list[str]:
    """Dream and actual score of the paper at a temperature, mean ± standard deviation; empty where it has none."""
    for row in TABLES.get(game, ()):
        if row.temperature == temperature and (row.dream or temperature is None):
            pairs = [row.dream, row.actual]
            return [f"{pair[0]:.0f} ± {pair[1]:.0f}" if pair else "" for pair in pairs]
    return ["", ""]


def markdown(sweep: dict[str, Any]) -> str:
    """The table of evaluation/sweep.json, with the paper's columns where the game is the paper's."""
    game = sweep["game"]
    header = ["τ", "dream", "actual", "evolutions"]
    rows = [
        [
            f"{row['temperature']:.2f}",
            mean_error_std(row["dream"]),
            mean_error_std(row["actual"]),
            str(row["seeds"]),
        ]
        for row in sweep["table"]
    ]
    temperatures: list[float | None] = [row["temperature"] for row in sweep["table"]]
    if sweep["random"]:
        rows.append(["random policy", "", mean_error_std(sweep["random"]), ""])
        temperatures.append(None)
    if game in TABLES:
        header += ["paper: dream", "paper: actual"]
        rows = [row + published(game, tau) for row, tau in zip(rows, temperatures, strict=True)]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def notes(sweep: dict[str, Any]) -> str:
    """What ± and the brackets are."""
    return (
        f"Mean ± standard error over {error_is_over(sweep['table'])} (standard deviation of single episodes, pooled "
        f"within each C; the paper's ± is one too). {sweep['generations']} generations; {sweep['dreams']} dreams and "
        f"{sweep['episodes']} actual episodes for each C, the same for all."
    )


def asked_for(what: str | None, name: str) -> dict[str, Any]:
    """The content of evaluation/NAME.json of the RUN that was typed; `what` is said for --help."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN")
    return json.loads((parser.parse_args().run / "evaluation" / f"{name}.json").read_text())


def main() -> None:
    """Print the table and what its numbers are."""
    sweep = asked_for(__doc__, "sweep")
    print(f"{markdown(sweep)}\n\n{notes(sweep)}")


if __name__ == "__main__":
    in_a_sentence(main)
