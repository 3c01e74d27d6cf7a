"""Numbers and commands as people read them."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from worldmodels.report.data import Round, RunData, Scores
from worldmodels.report.lenient import mapping, whole

NOTHING = "–"  # stands in a table where there is no number

# What makes each part of the report; RUN stands for the run folder, GAME for the game.
COMMANDS = {
    "vision": "worldmodels vision RUN",
    "memory": "worldmodels memory RUN",
    "evolve": "worldmodels evolve RUN",
    "actual": "worldmodels evaluate RUN --world actual --episodes 100",
    "report": "worldmodels report RUN",
    "everything": "worldmodels train GAME --run RUN",
    "sweep": "worldmodels sweep RUN",
    "ablate": "worldmodels ablate RUN",
}


def command(run: RunData, part: str) -> str:
    """What to type to make a part of the report that is missing."""
    game = shlex.quote(run.game or "car-racing")
    return COMMANDS[part].replace("GAME", game).replace("RUN", shlex.quote(str(run.folder.path)))


def points(value: float | None, digits: int = 0) -> str:
    """A score: 1234.6 -> 1,235, -3.2 -> −3."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{digits}f}"
    return "0" if float(text.replace(",", "")) == 0 else text.replace("-", "−")


def mean_and_error(scores: Scores | None) -> str:
    """Mean ± standard error of the mean."""
    if scores is None:
        return NOTHING
    error = scores.standard_error
    return points(scores.mean) + ("" if error is None else f" ± {points(error)}")


def tried(run: RunData) -> str:
    """What a generation of the run's searches consists of: evolution tries individuals, a gradient C with noise."""
    kinds = (("individual", run.searched - run.by_gradient), ("episode with noise", run.by_gradient))
    return " or ".join(kind for kind, rounds in kinds if rounds) or "individual"


def not_by_dreams_alone(rounds: Sequence[Round]) -> list[str]:
    """A sentence for each round whose C learnt in the actual game, or was chosen by episodes of it."""
    found = []
    for round in rounds:
        if played := whole(round.dream.facts.get("game_steps")) if round.dream else None:
            found.append(
                f"The C of round {round.number} learnt in the actual game: {count(played)} steps of it."
            )
        choice = mapping(round.dream.facts.get("selected")) if round.dream else {}
        if choice:
            episodes, candidates = whole(choice.get("actual_episodes")), whole(choice.get("candidates"))
            found.append(
                f"The C of round {round.number} is the mean of generation {count(whole(choice.get('generation')))}: "
                f"{count(episodes)} episodes of the actual game chose it among {count(candidates)} means."
            )
    return found


def count(value: float | None) -> str:
    """How many: 57344 -> 57,344."""
    return NOTHING if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Seconds as 0.4 s, 42 s, 3 min 5 s, 2 h 10 min or 3 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, part, size, step in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // step
            return f"{whole // size} {unit} {rest} {part}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def rate(value: float | None, unit: str) -> str:
    """A rate with its unit: 3412.3, "frames" -> 3,412 frames/s."""
    if value is None:
        return NOTHING
    per_second = unit if "/" in unit or not unit else f"{unit}/s"
    return f"{value:,.{0 if value >= 100 else 1 if value >= 1 else 2}f} {per_second}".strip()


def memory(megabytes: float | None) -> str:
    """Megabytes as 640 MB or 1.4 GB."""
    if megabytes is None:
        return NOTHING
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as ("mdn_rnn.hidden_size", "256"), in their order."""
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{name}.")
        else:
            text = "none" if value is None else json.dumps(value, ensure_ascii=False)
            yield f"{above}{name}", value if isinstance(value, str) else text
