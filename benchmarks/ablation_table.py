"""Print what a run's Cs need, its ablation, as a markdown table.

.venv/bin/worldmodels ablate runs/demo --seeds 3
.venv/bin/python benchmarks/ablation_table.py runs/demo
"""

from __future__ import annotations

from typing import Any

from sentences import in_a_sentence
from sweep_table import asked_for

from worldmodels.pipeline.ablation import budget_of
from worldmodels.pipeline.table import error_is_over, mean_error_std
from worldmodels.report.published import FEATURES


def markdown(ablation: dict[str, Any]) -> str:
    """The table of evaluation/ablation.json, with the paper's column where the game is the paper's."""
    published = FEATURES.get(ablation["game"], {})
    lines = [["C sees", "actual", "evolutions", "steps of the game", *(["paper"] if published else [])]]
    lines.append(["---"] * len(lines[0]))
    for row in ablation["table"]:
        line = [row["features"], mean_error_std(row["actual"]), str(row["seeds"]), f"{row['game_steps']:,}"]
        if published:
            theirs = published.get(row["features"])
            line.append(f"{theirs.actual[0]:.0f} ± {theirs.actual[1]:.0f}" if theirs else "")
        lines.append(line)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def notes(ablation: dict[str, Any]) -> str:
    """What ± and the brackets are, and the budget."""
    return (
        f"Mean ± standard error over {error_is_over(ablation['table'])} (standard deviation of single episodes, pooled "
        f"within each C; the paper's ± is one too). In the actual game {budget_of(ablation)} of at most "
        f"{ablation['horizon']} ticks; {ablation['episodes']} actual episodes for each C, the same for all."
    )


def main() -> None:
    """Print the table and what its numbers are."""
    ablation = asked_for(__doc__, "ablation")
    print(f"{markdown(ablation)}\n\n{notes(ablation)}")


if __name__ == "__main__":
    in_a_sentence(main)
