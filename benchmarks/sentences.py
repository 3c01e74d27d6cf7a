"""What the benchmarks do with wrong input and Ctrl-C: they say it in a sentence, as the commands do, and exit."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from worldmodels.errors import UserError
from worldmodels.pipeline.work import Work, open_run
from worldmodels.runs.pretrained import run_folder


def in_a_sentence(main: Callable[[], object]) -> None:
    """Run `main`."""
    try:
        main()
    except UserError as error:
        _leave(str(error))
    except (FileNotFoundError, NotADirectoryError) as error:
        _leave(f"{error.filename} not found; give a finished run's folder")
    except json.JSONDecodeError as error:
        _leave(f"a file of the run is no JSON ({error}); is it whole?")
    except KeyboardInterrupt:
        _leave("stopped", 130)


def run_of(name: str, game: str, device: str = "auto") -> Work:
    """A run of that game, opened; UserError for another one."""
    work = open_run(run_folder(name), device)
    if work.spec.name != game:
        raise UserError(f"{name} plays {work.spec.name}; give a run of {game}")
    return work


def _leave(why: str, code: int = 2) -> None:
    print(f"worldmodels: {why}", file=sys.stderr)
    sys.exit(code)
