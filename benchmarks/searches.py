"""More Cs in the dream of a run's M, by other settings: `python benchmarks/searches.py RUN NAME [SETTING=VALUE ...]`.

What does a countermeasure against exploitation do? Each of --streams is a search from random numbers of its own, by the
run's settings but for those that are given, such as

    python benchmarks/searches.py runs/dream plain
    python benchmarks/searches.py runs/dream no-cost gradient.dream_missed=0
    python benchmarks/searches.py runs/dream spread dream.temperature_spread=0.3 --streams 1 2 3
    python benchmarks/searches.py runs/dream deep controller.hidden=40 evolution.search=gradient

Prints of each C, and of the mean of their weights where there is no hidden layer, what it earns in its dream, with its
standard error, and in the actual game: on the same tracks whatever was changed, sketched where the game has a sketcher
(--backend gymnasium: the game itself). Nothing of the run is touched: Cs and scores go to RUN/searches/NAME, and what
is there is not made again. Of a release give a copy, which `worldmodels sweep pretrained:NAME` makes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sentences import in_a_sentence

from worldmodels.errors import UserError
from worldmodels.evaluation.score import mean_and_error
from worldmodels.evolution.controllers import save_mean
from worldmodels.experiments import Experiment, at_round
from worldmodels.pipeline.ending import actual_score
from worldmodels.pipeline.growing import grow
from worldmodels.pipeline.temperature import checked_temperature, refuse_less_than_one
from worldmodels.pipeline.work import Work, open_run
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json, write_json
from worldmodels.runs.lock import locked
from worldmodels.runs.pretrained import refuse_released, run_folder
from worldmodels.runs.seeds import stream
from worldmodels.runs.settings import from_json

OF_A_SEARCH = ("dream", "controller", "evolution", "gradient")  # groups that V and M know nothing of
OF_A_ROUND = ("dream.temperature", "dream.horizon", "evolution.generations")  # which has its own
OF_A_GAME = ("controller.features", "controller.feature_size", "controller.action_kinds")


def main() -> None:
    """Search, play and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder, or the copy of a release")
    parser.add_argument("name", help="of this experiment, under RUN/searches")
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE", help=f"of {', '.join(OF_A_SEARCH)}")
    parser.add_argument("--round", type=int, help="whose M dreams (default: the last one with a C)")
    parser.add_argument("--temperature", type=float, help="of the dreams (default: the run's)")
    parser.add_argument("--generations", type=int, help="of a search (default: the run's)")
    parser.add_argument(
        "--horizon", type=int, help="ticks after which a dream begins anew (default: the run's)"
    )
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2], help="of random numbers")
    parser.add_argument("--episodes", type=int, default=128, help="of the actual game for each C")
    parser.add_argument("--backend", help='who plays them (default: "sketch" where the game has it)')
    options = parser.parse_args()
    refuse_less_than_one(
        generations=options.generations,
        horizon=options.horizon,
        episodes=options.episodes,
        streams=min(options.streams),
    )
    work = open_run(run_folder(options.run), "cpu")
    refuse_released(work.run, "trained on", unless_copy=True)
    round = work.best().round if options.round is None else options.round
    if not 0 <= round < work.experiment.rounds.count:
        raise UserError(f"--round must lie in 0..{work.experiment.rounds.count - 1}, got {round}")
    experiment = with_settings(work.experiment, options.settings)
    if options.horizon is not None:
        experiment = replace(experiment, rounds=replace(experiment.rounds, horizons=(options.horizon,)))
    changed = replace(work, experiment=experiment)
    told = {
        "round": round,
        "temperature": checked_temperature(
            work.temperature(round) if options.temperature is None else options.temperature
        ),
        "generations": options.generations or at_round(work.experiment.rounds.generations, round),
    }
    folder = work.run.path / "searches" / options.name
    asked = {**told, "settings": sorted(options.settings)}
    if options.horizon is not None:
        asked["horizon"] = options.horizon
    record = folder / "asked.json"
    if record.exists() and read_json(record) != asked:
        raise UserError(f"{folder} has the Cs of other settings ({record}): choose another NAME")
    if not record.exists():
        write_json(record, asked)
    backend = options.backend or ("sketch" if work.spec.sketcher is not None else "gymnasium")
    print(f"{options.name}: {json.dumps(asked)}; {options.episodes} episodes of the game ({backend})")
    members = [folder / f"stream-{number}.safetensors" for number in options.streams]
    with locked(folder):  # others may go on beside it
        for number, path in zip(options.streams, members, strict=True):
            log = f"searches-{options.name}-{number}"
            dream = grow(
                changed, path=path, log_name=log, dreams=256, evolution_seed=number, afresh=True, **told
            )
            line(f"stream {number}", dream, played(work, path, round, options.episodes, backend))
        if len(members) > 1 and not changed.experiment.controller.hidden:
            mean = folder / f"mean-{'-'.join(map(str, options.streams))}.safetensors"
            if not mean.exists():
                save_mean(mean, members, load_checkpoint(members[0], kind="controller").made_from)
            dream = grow(changed, path=mean, log_name="", dreams=256, **told)
            line(f"mean of {len(members)}", dream, played(work, mean, round, options.episodes, backend))


def with_settings(
    experiment: Experiment, settings: list[str], groups: Sequence[str] = OF_A_SEARCH
) -> Experiment:
    """The settings of a run with others, "group.name=value"; UserError for those of other groups."""
    content = asdict(experiment)
    for setting in settings:
        name, given, value = setting.partition("=")
        group, _, field = name.partition(".")
        if not given or group not in groups or field not in content[group] or name in OF_A_ROUND + OF_A_GAME:
            raise UserError(
                f"{setting} is no setting of {', '.join(groups)}; give for example dream.temperature_spread=0.3"
            )
        try:
            content[group][field] = json.loads(value)
        except ValueError:
            content[group][field] = value
        if name == "evolution.search":
            content["rounds"]["searches"] = ()  # which would go before it
    return from_json(Experiment, content)


def played(work: Work, path: Path, round: int, episodes: int, backend: str) -> np.ndarray:
    """What a C earns in the game, (episodes,); kept beside it."""
    record = path.with_suffix(f".{backend}-{episodes}.json")
    if not record.exists():
        seed = stream(work.experiment.seed, "searches") % 2**31
        write_json(record, actual_score(work, work.parts(round, path), episodes, seed, backend))
    return np.array(read_json(record)["scores"])


def line(name: str, dream: dict[str, Any], scores: np.ndarray) -> None:
    """Print the scores of a C."""
    error = mean_and_error(scores)["standard_error"]
    print(
        f"  {name:<12} dream {dream['mean']:6.0f} ± {dream['standard_error']:.0f}   game {scores.mean():6.0f} ± "
        f"{error:.0f}, median {np.median(scores):.0f}, lower quartile {np.quantile(scores, 0.25):.0f}, "
        f"lowest tenth {np.quantile(scores, 0.1):.0f}",
        flush=True,
    )


if __name__ == "__main__":
    in_a_sentence(main)
