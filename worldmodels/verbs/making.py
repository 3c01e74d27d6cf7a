"""Verbs that make a run, and what is made of it: train, its stages, release."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from worldmodels.errors import UserError
from worldmodels.runs.pretrained import run_folder
from worldmodels.verbs.arguments import Device, OwnRun, number, options, parse, positional, value_of

# Settings that are derived from others in a run, by their options: what is typed for them would not count.
DERIVED = {
    "--vision.steps": "--rounds.vision-steps",
    "--memory.steps": "--rounds.memory-steps",
    "--evolution.generations": "--rounds.generations",
    "--mdn-rnn.latent-size": "--vae.latent-size",
    "--mdn-rnn.action-size": None,
    "--controller.feature-size": None,
    "--controller.action-kinds": None,
}
# Settings in whose place a schedule stands, of `rounds`, where it is given.
SCHEDULED = {
    "--dream.temperature": "temperatures",
    "--noise.sigma": "noises",
    "--evolution.search": "searches",
    "--memory.posterior": "posteriors",
    "--controller.hidden": "hidden",
}


def train(arguments: Sequence[str]) -> None:
    """Train a world model of GAME: all stages, round after round. Run it again to go on.

    Examples:
      worldmodels train car-racing --preset demo --run runs/demo --seed 1
      worldmodels train car-racing --preset paper --run runs/paper --mdn-rnn.hidden-size 512
      worldmodels train toy                              a game that is learnt in a minute
    """
    from worldmodels import presets
    from worldmodels.experiments import Experiment
    from worldmodels.pipeline.train import begin
    from worldmodels.pipeline.train import train as train_run

    game, rest = positional(arguments, "GAME (car-racing, take-cover or toy)")
    name = value_of(rest, "--preset") or "demo"
    default = presets.preset(game, name) if game else presets.car_racing_demo()

    @dataclass(frozen=True)
    class Train:
        run: Annotated[str, tyro.conf.arg(help="run folder", metavar="DIR")] = f"runs/{game or 'GAME'}"
        device: Device = "auto"
        experiment: Annotated[Experiment, tyro.conf.arg(name="")] = default

    for option in options(rest):
        if (name := option.replace("_", "-")) in DERIVED:
            instead = DERIVED[name]
            then = f"type {instead}" if instead else "leave it out"
            raise UserError(f"{option} follows from other settings: {then}")
    try:
        asked = parse(train, Train, rest, "train GAME", also=presets.described())
    except ValueError as error:  # of the experiment as a whole; tyro reports those of its parts itself
        raise UserError(str(error)) from error
    for option in options(rest):
        schedule = SCHEDULED.get(option.replace("_", "-"))
        if schedule and getattr(asked.experiment.rounds, schedule):
            raise UserError(
                f"{option} gives way to rounds.{schedule} in this preset: type --rounds.{schedule}"
            )
    if asked.experiment.game != game:
        raise UserError(f"--game {asked.experiment.game}: type worldmodels train {asked.experiment.game}")
    settings = [option for option in options(rest) if option not in ("--run", "--device")]
    train_run(begin(run_folder(asked.run), asked.experiment, asked.device, go_on=not settings))


def stage(name: str, what: str) -> Callable[[Sequence[str]], None]:
    """The verb that runs one stage of a run; `what` is the first sentence of its help."""

    def verb(arguments: Sequence[str]) -> None:
        def command(run: OwnRun, device: Device = "auto") -> None:
            from worldmodels.pipeline.train import run_stage
            from worldmodels.pipeline.work import open_run

            run_stage(open_run(run_folder(run), device), name)

        parse(verb, command, arguments, name)

    verb.__doc__ = f"""{what}

    It is the run's current round that is worked on; a stage that was stopped goes on.

    Example:
      worldmodels {name} runs/demo
    """
    return verb


def evolve(arguments: Sequence[str]) -> None:
    """Seek C, the controller, in M's dream, or in the game where the preset says so.

    It is evolved by CMA-ES, or learns by policy gradient, as the preset says.

    It is the run's current round that is worked on; a stage that was stopped goes on. With --temperature it is another
    C that is evolved, in the chosen round's dream at that temperature, and scored in its dream and in the actual game.
    The run's own results stay as they are.

    Examples:
      worldmodels evolve runs/demo
      worldmodels evolve runs/demo --temperature 0.1
    """

    def command(
        run: OwnRun,
        temperature: Annotated[
            float | None,
            tyro.conf.arg(
                metavar="T",
                help="evolve another C, in a dream of this temperature",
                help_behavior_hint="(default: the run's own C)",
            ),
        ] = None,
        generations: Annotated[
            int | None, number("of that other C", "as many as the run's own C had")
        ] = None,
        episodes: Annotated[int | None, number("of the actual game, to score that other C", "8")] = None,
        seed: Annotated[
            int | None, number("of the evolution of that other C: another seed, another C", "0")
        ] = None,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.temperature import evolve_at, sentence
        from worldmodels.pipeline.train import run_stage
        from worldmodels.pipeline.work import open_run

        if temperature is not None:
            work = open_run(run_folder(run), device)
            print(sentence(evolve_at(work, temperature, generations, episodes, seed or 0)))
        elif (generations, episodes, seed) != (None, None, None):
            raise UserError(
                "--generations, --episodes and --seed are those of another C; add --temperature T, or leave them out"
            )
        else:
            run_stage(open_run(run_folder(run), device), "evolve")

    parse(evolve, command, arguments)


def release(arguments: Sequence[str]) -> None:
    """Make a slim copy of a finished run, for others to use: the chosen V and M in half precision, and C.

    The copy is a run folder too, with a model card in README.md, and can be evaluated, dreamt and played.

    Example:
      worldmodels release runs/demo --name car-racing-demo --out released
    """

    def command(
        run: OwnRun,
        name: Annotated[str, tyro.conf.arg(metavar="NAME", help="of the release, as in pretrained:NAME")],
        out: Annotated[str, tyro.conf.arg(metavar="DIR", help="folder in which the folder NAME is made")],
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.release import release as make_release
        from worldmodels.pipeline.work import open_run

        print(make_release(open_run(run_folder(run), device), name, Path(out)))

    parse(release, command, arguments)
