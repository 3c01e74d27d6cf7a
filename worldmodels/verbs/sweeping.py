"""The verb of the paper's table over temperatures: sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from worldmodels.errors import UserError
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.pretrained import PREFIX, run_folder
from worldmodels.verbs.arguments import Device, folder_for, number, parse


def sweep(arguments: Sequence[str]) -> None:
    """Evolve Cs in dreams of several temperatures, and score each in its dream and in the actual game.

    V and M are those of a trained run, and its own C stays as it is. A cold dream is easy to cheat: what a C earns in
    it says little about the game. All temperatures of one seed come before the next seed. Run it again to go on; Cs
    that are there are not evolved again.

    Examples:
      worldmodels sweep toy                                      the run in runs/toy
      worldmodels sweep runs/demo --temperatures 0.1,1.0,1.3
      worldmodels sweep runs/demo --seeds 3 --episodes 1000      three evolutions at each temperature
      worldmodels sweep pretrained:take-cover                    V and M of the release, in runs/pretrained-take-cover
    """

    def command(
        run: Annotated[
            str,
            tyro.conf.Positional,
            tyro.conf.arg(metavar="GAME|RUN", help="a game, for the run in runs/GAME, or a run folder"),
        ],
        temperatures: Annotated[
            str, tyro.conf.arg(metavar="T,T,...", help="of the dreams, in steps of 0.01")
        ] = "0.1,0.5,1.0,1.15,1.3",
        seeds: Annotated[int, tyro.conf.arg(metavar="N", help="evolutions at each temperature")] = 1,
        generations: Annotated[
            int | None, number("of each evolution", "as many as the run's own C had")
        ] = None,
        episodes: Annotated[
            int | None, number("of the actual game, to score each C: the same for all", "100")
        ] = None,
        meter: Annotated[
            int | None,
            number(
                "score C in both worlds every N generations while it evolves, for the report; 0: never",
                "a twentieth of the generations",
            ),
        ] = None,
        folder: Annotated[
            str | None,
            folder_for(
                "run folder of the GAME, or where a release is copied to", "runs/GAME, runs/pretrained-NAME"
            ),
        ] = None,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.sweep import SweepConfig, as_text
        from worldmodels.pipeline.sweep import sweep as sweep_run
        from worldmodels.pipeline.work import open_run

        asked = SweepConfig(
            temperatures=numbers(temperatures),
            seeds=seeds,
            generations=generations,
            episodes=episodes,
            meter=meter,
        )
        print(as_text(sweep_run(open_run(chosen_run(run, folder), device), asked)))

    parse(sweep, command, arguments)


def chosen_run(name: str, folder: str | None) -> RunFolder:
    """The run that GAME|RUN and --run mean; UserError when there is none."""
    from worldmodels import presets
    from worldmodels.pipeline.copying import at_work
    from worldmodels.pipeline.work import open_run

    if name.startswith(PREFIX):
        return at_work(run_folder(name), Path(folder) if folder else None)
    if name in presets.PRESETS:
        run = run_folder(folder or f"runs/{name}")
        if not run.experiment.exists():
            raise UserError(
                f"{run.path} has no run of {name} yet: train one with `worldmodels train {name} --run {run.path}`, or "
                "name another folder with --run"
            )
        if (played := open_run(run, "cpu").experiment.game) != name:
            raise UserError(
                f"{run.path} is a run of {played}, not of {name}; type worldmodels sweep {run.path}"
            )
        return run
    if folder is not None:
        raise UserError(
            f"--run {folder} goes with a game, and {name} is none of {', '.join(presets.PRESETS)}"
        )
    if Path(name).exists():
        return at_work(run_folder(name))
    raise UserError(
        f"{name} is neither a game ({', '.join(presets.PRESETS)}) nor a run folder; begin one with "
        f"`worldmodels train toy --run {name}`"
    )


def numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas; UserError with the one that is none."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(float(part))
        except ValueError as error:
            raise UserError(
                f"--temperatures takes numbers between commas, as in 0.1,0.5,1.0, got {part!r}"
            ) from error
    return tuple(found)
