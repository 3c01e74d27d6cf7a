"""The verb that measures: bench."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from worldmodels.verbs.arguments import Device, parse


def bench(arguments: Sequence[str]) -> None:
    """Measure how fast each part runs here, how fast this machine could run it, and how fast plain code does.

    Everything is measured in one run of a few minutes, with untrained models and noise: nothing has to be trained
    before, and nothing is kept. Leave the machine alone meanwhile.

    Examples:
      worldmodels bench                                    a table
      worldmodels bench --json --plot bench.svg            one JSON object, and a picture
      worldmodels bench --only dream,generation            some of it
      worldmodels bench --game take-cover --seconds 3      the sizes of the other game, more patiently
    """

    def command(
        only: Annotated[
            str | None,
            tyro.conf.arg(
                metavar="NAME,NAME",
                help="what to measure, as vision_train,dream.1024,store_read",
                help_behavior_hint="(default: everything)",
            ),
        ] = None,
        seconds: Annotated[
            float, tyro.conf.arg(metavar="S", help="how long a measurement should take, about")
        ] = 1.5,
        game: Annotated[
            Literal["car-racing", "take-cover"], tyro.conf.arg(help="whose sizes V, M and C have")
        ] = "car-racing",
        device: Device = "auto",
        json_: Annotated[
            bool, tyro.conf.arg(name="json", help="print one JSON object instead of the table")
        ] = False,
        plot: Annotated[
            Path | None,
            tyro.conf.arg(
                metavar="FILE.svg|.png", help="draw a picture", help_behavior_hint="(default: none)"
            ),
        ] = None,
    ) -> None:
        from worldmodels.bench.plot import check_plot, write_plot
        from worldmodels.bench.run import BenchConfig, measure
        from worldmodels.bench.table import as_json, as_text

        asked = BenchConfig(names(only), seconds, game, device)
        if plot is not None:
            check_plot(plot)  # before minutes of measuring
        try:
            report = measure(asked)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped; nothing is kept of a bench that was not finished") from None
        print(json.dumps(as_json(report), indent=2, allow_nan=False) if json_ else as_text(report))
        if plot is not None:
            write_plot(plot, report)

    parse(bench, command, arguments)


def names(text: str | None) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(filter(None, (part.strip() for part in (text or "").split(","))))
