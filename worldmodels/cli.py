"""The command line: one verb per stage, no logic of its own."""

import difflib
import errno
import inspect
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldmodels.errors import UserError

OVERVIEW = """\
worldmodels: learn a game's world, and to play it inside a dream (World Models, Ha & Schmidhuber, 2018).

  worldmodels train car-racing --preset demo --run runs/demo     everything, from nothing to report.html
  worldmodels train car-racing --run runs/demo                   go on where it was stopped
  worldmodels evaluate runs/demo --world actual --episodes 16 --json
  worldmodels dream runs/demo --steps 200 --out dream.mp4        watch C drive inside M
  worldmodels report runs/demo                                   write report.html again

Stages, each of which goes on from where the run stands:
  collect    play the actual game and store the rollouts
  vision     train V, the VAE, on their frames
  encode     let V turn the frames into latents
  memory     train M, the MDN-RNN, on the latents
  evolve     evolve C, the controller, inside M's dream

`worldmodels VERB --help` explains a verb with examples.
"""

Run = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder, or pretrained:NAME")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], tyro.conf.arg(help="where to compute; auto takes a GPU if there is one")
]


def _parse(
    verb: Callable[..., Any], command: Callable[..., Any], arguments: Sequence[str], name: str = ""
) -> Any:
    """Let tyro fill in the arguments of `command`; what `verb` says of itself is the help text."""
    said = inspect.cleandoc(verb.__doc__ or "")
    return tyro.cli(
        command, args=list(arguments), prog=f"worldmodels {name or verb.__name__}", description=said
    )


def train(arguments: Sequence[str]) -> None:
    """Train a world model of GAME: all stages, round after round. Run it again to go on.

    Examples:
      worldmodels train car-racing --preset demo --run runs/demo --seed 1
      worldmodels train car-racing --preset paper --run runs/paper --mdn-rnn.hidden-size 512
      worldmodels train toy                              a game that is learnt in a minute
    """
    from worldmodels import experiments
    from worldmodels.pipeline.train import begin
    from worldmodels.pipeline.train import train as train_run

    game, rest = _positional(arguments, "GAME (car-racing or toy)")
    name = _value_of(rest, "--preset") or "demo"
    default = experiments.preset(game, name) if game else experiments.car_racing_demo()

    @dataclass(frozen=True)
    class Train:
        run: Annotated[str, tyro.conf.arg(help="run folder", metavar="DIR")] = f"runs/{game or 'GAME'}"
        device: Device = "auto"
        experiment: Annotated[experiments.Experiment, tyro.conf.arg(name="")] = default

    try:
        asked = _parse(train, Train, rest, "train GAME")
    except ValueError as error:  # of the experiment as a whole; tyro reports those of its parts itself
        raise UserError(str(error)) from error
    if asked.experiment.game != game:
        raise UserError(f"--game {asked.experiment.game}: type worldmodels train {asked.experiment.game}")
    settings = [option for option in _options(rest) if option not in ("--run", "--device")]
    train_run(begin(_folder(asked.run), asked.experiment, asked.device, go_on=not settings))


def _stage(name: str, what: str) -> Callable[[Sequence[str]], None]:
    def verb(arguments: Sequence[str]) -> None:
        def command(run: Run, device: Device = "auto") -> None:
            from worldmodels.pipeline.train import run_stage
            from worldmodels.pipeline.work import open_run

            run_stage(open_run(_folder(run), device), name)

        _parse(verb, command, arguments, name)

    verb.__doc__ = f"""{what}

    It is the run's current round that is worked on; a stage that was stopped goes on.

    Example:
      worldmodels {name} runs/demo
    """
    return verb


def evaluate(arguments: Sequence[str]) -> None:
    """Score the chosen C over fresh episodes: mean, standard deviation, standard error.

    The actual game is Gymnasium's own unless --backend says otherwise.

    Examples:
      worldmodels evaluate runs/demo --world actual --episodes 100 --seed 7
      worldmodels evaluate runs/demo --world dream --temperature 1.15 --json
    """

    def command(
        run: Run,
        world: Annotated[
            Literal["actual", "dream"], tyro.conf.arg(help="the real game, or M's dream of it")
        ] = "actual",
        episodes: Annotated[int, tyro.conf.arg(help="how many; the paper scores 100")] = 100,
        seed: Annotated[int, tyro.conf.arg(help="the same seed plays the same episodes")] = 1,
        temperature: Annotated[
            float | None,
            tyro.conf.arg(metavar="T", help="of the dream", help_behavior_hint="(default: as trained)"),
        ] = None,
        backend: Annotated[
            Literal["gymnasium", "envpool", "auto"], tyro.conf.arg(help="who plays the actual game")
        ] = "gymnasium",
        device: Device = "auto",
        json: Annotated[bool, tyro.conf.arg(help="print one JSON object with every score")] = False,
    ) -> None:
        from worldmodels.pipeline.evaluate import evaluate_with

        score = evaluate_with(_folder(run), world, episodes, seed, temperature, backend, device)
        _print_score(score, json)

    _parse(evaluate, command, arguments)


def dream(arguments: Sequence[str]) -> None:
    """Film C driving inside its dream.

    Examples:
      worldmodels dream runs/demo --steps 200 --out dream.mp4
      worldmodels dream runs/demo --out wild.gif --temperature 1.5 --seed 3
    """

    def command(
        run: Run,
        out: Annotated[str, tyro.conf.arg(metavar="FILE", help="video to write, .mp4 or .gif")],
        steps: Annotated[int, tyro.conf.arg(help="actions at most; a dream may end before")] = 200,
        temperature: Annotated[
            float, tyro.conf.arg(metavar="T", help="above 1: a more uncertain dream")
        ] = 1.0,
        seed: Annotated[int, tyro.conf.arg(help="another seed, another dream")] = 0,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.evaluate import film

        print(film(_folder(run), Path(out), steps, temperature, seed, device))

    _parse(dream, command, arguments)


def report(arguments: Sequence[str]) -> None:
    """Write report.html of a run again, from what lies in its folder.

    Example:
      worldmodels report runs/demo
    """

    def command(run: Run) -> None:
        from worldmodels.report.page import write_report

        folder = _folder(run)
        if not folder.experiment.exists():
            raise UserError(
                f"{folder.path} is not a run folder; begin one with `worldmodels train car-racing`"
            )
        print(write_report(folder))

    _parse(report, command, arguments)


VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "collect": _stage("collect", "Play the actual game and store the rollouts of the current round."),
    "vision": _stage("vision", "Train V, the VAE, on all frames so far."),
    "encode": _stage("encode", "Let V turn the stored frames into latents."),
    "memory": _stage("memory", "Train M, the MDN-RNN, on all latents so far."),
    "evolve": _stage("evolve", "Evolve C, the controller, inside M's dream."),
    "evaluate": evaluate,
    "dream": dream,
    "report": report,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit code: 0, 1 (something of ours failed), 2 (wrong input), 130 (Ctrl-C)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(OVERVIEW, end="")
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"worldmodels {version('worldmodels')}")
        return 0
    try:
        verb = VERBS.get(arguments[0])
        if verb is None:
            close = difflib.get_close_matches(arguments[0], VERBS, 1)
            hint = f"did you mean {close[0]}?" if close else f"verbs: {', '.join(VERBS)}"
            raise UserError(f"{arguments[0]!r} is not a verb of worldmodels; {hint}")
        verb(arguments[1:])
    except UserError as error:
        print(f"worldmodels: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "\nworldmodels: stopped; what was done is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            "worldmodels: no space left on the disk; free some and run the same command again",
            file=sys.stderr,
        )
        return 2
    return 0


def _folder(run: str) -> Any:
    from worldmodels.runs.folder import RunFolder

    if run.startswith("pretrained:"):
        raise UserError(
            f"{run}: no weights are released yet; train your own with `worldmodels train car-racing --preset demo`"
        )
    return RunFolder(Path(run))


def _print_score(score: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(score))
        return
    print(
        f"{score['game']}, {score['world']}: {score['mean']:.1f} ± {score['std']:.1f} "
        f"over {score['episodes']} episodes "
        f"(standard error {score['standard_error']:.1f}, seed {score['seed']}, "
        f"{score['steps_per_second']:,.0f} steps/s)"
    )


def _positional(arguments: Sequence[str], what: str) -> tuple[str, list[str]]:
    """The first argument, if it is not an option, and the rest. Asking for help needs none."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], list(arguments[1:])
    if not {"-h", "--help"} & set(arguments):
        raise UserError(f"{what} is missing; for example: worldmodels train car-racing")
    return "", list(arguments)


def _options(arguments: Sequence[str]) -> list[str]:
    return [argument.split("=")[0] for argument in arguments if argument.startswith("-")]


def _value_of(arguments: Sequence[str], option: str) -> str | None:
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(option + "="):
            return argument.split("=", 1)[1]
    return None


if __name__ == "__main__":
    sys.exit(main())
