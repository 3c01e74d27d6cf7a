"""The command line: the verbs, and what becomes of errors. What a verb takes stands in its room, verbs/."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Sequence

from worldmodels.errors import UserError
from worldmodels.verbs.ablating import ablate
from worldmodels.verbs.benching import bench
from worldmodels.verbs.making import evolve, release, stage, train
from worldmodels.verbs.playing import play
from worldmodels.verbs.sweeping import sweep
from worldmodels.verbs.using import dream, evaluate, export, report

OVERVIEW = """\
worldmodels: learn a model of a game, and learn to play inside its dream (World Models, Ha & Schmidhuber, 2018).

  worldmodels train car-racing --preset demo --run runs/demo     everything, from nothing to report.html
  worldmodels train car-racing --run runs/demo                   go on where it was stopped
  worldmodels evaluate runs/demo --world actual --episodes 16 --json
  worldmodels dream runs/demo --steps 200 --out dream.mp4        watch C drive inside M
  worldmodels play runs/demo                                     drive inside M yourself, in the browser
  worldmodels report runs/demo                                   write report.html again
  worldmodels evolve runs/demo --temperature 0.1                 another C, from a colder dream
  worldmodels sweep runs/demo --seeds 3                          Cs of five temperatures, scored in both worlds
  worldmodels ablate runs/demo                                   Cs without M, or with an untrained one
  worldmodels export runs/demo --out site                        a page that dreams in any browser
  worldmodels release runs/demo --name mine --out released       a slim copy for others to use
  worldmodels bench                                              how fast it is here, and how fast it could be

Stages, each of which goes on from where the run stands:
  collect    play the actual game and store the rollouts
  vision     train V, the VAE, on their frames
  encode     let V turn the frames into latents
  memory     train M, the MDN-RNN, on the latents
  evolve     seek C, the controller, in M's dream, or in the game where the preset says so

`worldmodels VERB --help` explains a verb with examples.
"""

VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": train,
    "collect": stage("collect", "Play the actual game and store the rollouts of the current round."),
    "vision": stage("vision", "Train V, the VAE, on all frames so far."),
    "encode": stage("encode", "Let V turn the stored frames into latents."),
    "memory": stage("memory", "Train M, the MDN-RNN, on all latents so far."),
    "evolve": evolve,
    "sweep": sweep,
    "ablate": ablate,
    "evaluate": evaluate,
    "dream": dream,
    "play": play,
    "report": report,
    "release": release,
    "export": export,
    "bench": bench,
}


# Errors of a place that somebody chose, and not of the program.
OF_PLACES = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


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
    except KeyboardInterrupt as stopped:
        kept = "stopped; what was done is kept, and the same command goes on from there"
        print(f"\nworldmodels: {str(stopped) or kept}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            said = "no space left on the disk; free some and run the same command again"
        elif error.errno in OF_PLACES and error.filename:
            said = f"{error.filename}: {error.strerror}; mend that, or choose another place"
        else:
            raise
        print(f"worldmodels: {said}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
