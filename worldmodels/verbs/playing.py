"""The verb that puts a person inside the dream: play."""

from collections.abc import Sequence
from typing import Annotated

import tyro

from worldmodels.runs.pretrained import run_folder
from worldmodels.verbs.arguments import Device, Run, parse


def play(arguments: Sequence[str]) -> None:
    """Play inside the dream, in a browser: with keys, a gamepad or a finger, or let C play. Ctrl-C ends it.

    The page is served to this machine only. It also works through a forwarded port.

    Examples:
      worldmodels play runs/demo
      worldmodels play runs/demo --port 0 --no-browser         any free port; its address is printed
    """

    def command(
        run: Run,
        port: Annotated[int, tyro.conf.arg(help="where the page is; 0 takes a free one")] = 8765,
        host: Annotated[str, tyro.conf.arg(help="0.0.0.0 lets everybody on the network play")] = "127.0.0.1",
        browser: Annotated[bool, tyro.conf.arg(help="whether to open the page in a browser")] = True,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.play import play_model
        from worldmodels.play.serve import listen, serve

        folder = run_folder(run)
        with listen(host, port) as listening:  # before the model is loaded, which takes longer
            serve(play_model(folder, device), listening, host, browser)

    parse(play, command, arguments)
