"""Verbs that use a run: evaluate, dream, report, export."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from worldmodels.errors import UserError
from worldmodels.runs.pretrained import run_folder
from worldmodels.verbs.arguments import Device, Run, parse


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
            Literal["gymnasium", "envpool", "sketch", "auto"] | None,
            tyro.conf.arg(help="who plays the actual game", help_behavior_hint="(default: gymnasium)"),
        ] = None,
        device: Device = "auto",
        json: Annotated[bool, tyro.conf.arg(help="print one JSON object with every score")] = False,
    ) -> None:
        from worldmodels.pipeline.evaluate import evaluate_with

        score = evaluate_with(run_folder(run), world, episodes, seed, temperature, backend, device)
        _print_score(score, json)

    parse(evaluate, command, arguments)


def dream(arguments: Sequence[str]) -> None:
    """Film C acting inside its dream.

    Examples:
      worldmodels dream runs/demo --steps 200 --out dream.mp4
      worldmodels dream runs/demo --out wild.gif --temperature 1.5 --seed 3
    """

    def command(
        run: Run,
        out: Annotated[str, tyro.conf.arg(metavar="FILE", help="video to write, .mp4 or .gif")],
        steps: Annotated[int, tyro.conf.arg(help="actions at most; a dream may end before")] = 200,
        temperature: Annotated[
            float | None,
            tyro.conf.arg(
                metavar="T",
                help="above 1: a more uncertain dream",
                help_behavior_hint="(default: that in which C has learnt)",
            ),
        ] = None,
        seed: Annotated[int, tyro.conf.arg(help="another seed, another dream")] = 0,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.evaluate import film

        print(film(run_folder(run), Path(out), steps, temperature, seed, device))

    parse(dream, command, arguments)


def report(arguments: Sequence[str]) -> None:
    """Write report.html of a run again, from what lies in its folder.

    A release is copied to runs/pretrained-NAME first, and its pictures are drawn from games that it plays now.

    Examples:
      worldmodels report runs/demo
      worldmodels report pretrained:take-cover
    """

    def command(run: Run, device: Device = "auto") -> None:
        from worldmodels.report.page import write_report

        folder = run_folder(run)
        if folder.is_released:
            from worldmodels.pipeline.copying import at_work, report_at_work

            print(report_at_work(at_work(folder), device))
            return
        if not folder.experiment.exists():
            raise UserError(
                f"{folder.path} is not a run folder; begin one with `worldmodels train car-racing`"
            )
        print(write_report(folder))

    parse(report, command, arguments)


def export(arguments: Sequence[str]) -> None:
    """Make a page of a run that needs no server: its dream, dreamt by the browser.

    The folder can be put on any static host. The first export fetches onnxruntime-web by npm.

    Examples:
      worldmodels export runs/demo --out site
      python -m http.server -d site 8000                 try it at http://localhost:8000
    """

    def command(
        run: Run,
        out: Annotated[
            str, tyro.conf.arg(metavar="DIR", help="folder to write: new, empty, or a former export")
        ],
        runtime: Annotated[
            str | None,
            tyro.conf.arg(
                metavar="DIR", help="an unpacked onnxruntime-web", help_behavior_hint="(default: from npm)"
            ),
        ] = None,
    ) -> None:
        from worldmodels.pipeline.export import export_run, sentences

        print(sentences(export_run(run_folder(run), Path(out), Path(runtime) if runtime else None)))

    parse(export, command, arguments)


def _print_score(score: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(score))
        return
    one = score["episodes"] == 1  # says nothing of how others end
    deviation = "" if one else f" ± {score['std']:.1f}"
    error = "" if one else f"standard error {score['standard_error']:.1f}, "
    print(
        f"{score['game']}, {score['world']}: {score['mean']:.1f}{deviation} "
        f"over {score['episodes']} episode{'' if one else 's'} "
        f"({error}seed {score['seed']}, {score['steps_per_second']:,.0f} steps/s)"
    )
