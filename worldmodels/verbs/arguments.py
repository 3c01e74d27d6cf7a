"""What the verbs share: the arguments that most of them take, and how arguments are read."""

import inspect
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import tyro

from worldmodels.errors import UserError

Run = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder, or pretrained:NAME")
]
OwnRun = Annotated[
    str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help="a run folder; a release is not written to")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], tyro.conf.arg(help="where to compute; auto takes a GPU if there is one")
]


def number(help: str, otherwise: str) -> Any:
    """What tyro shows of an option that is a number or left out; `otherwise` is taken where it is left out."""
    return tyro.conf.arg(metavar="N", help=help, help_behavior_hint=f"(default: {otherwise})")


def folder_for(help: str, otherwise: str) -> Any:
    """As `number`, of --run DIR: another folder than `otherwise` to work in."""
    return tyro.conf.arg(name="run", metavar="DIR", help=help, help_behavior_hint=f"(default: {otherwise})")


def parse(
    verb: Callable[..., Any],
    command: Callable[..., Any],
    arguments: Sequence[str],
    name: str = "",
    also: str = "",
) -> Any:
    """Let tyro fill in the arguments of `command`; the help text is what `verb` says of itself, and `also`."""
    said = inspect.cleandoc(verb.__doc__ or "") + (f"\n\n{also}" if also else "")
    return tyro.cli(
        command, args=list(arguments), prog=f"worldmodels {name or verb.__name__}", description=said
    )


def positional(arguments: Sequence[str], what: str) -> tuple[str, list[str]]:
    """The first argument, if it is not an option, and the rest. Asking for help needs none."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], list(arguments[1:])
    if not {"-h", "--help"} & set(arguments):
        raise UserError(f"{what} is missing; for example: worldmodels train car-racing")
    return "", list(arguments)


def options(arguments: Sequence[str]) -> list[str]:
    """Names of the options among the arguments."""
    return [argument.split("=")[0] for argument in arguments if argument.startswith("-")]


def value_of(arguments: Sequence[str], option: str) -> str | None:
    """What an option was given, `--option value` or `--option=value`; None where it is not among them."""
    for position, argument in enumerate(arguments):
        if argument == option and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith(option + "="):
            return argument.split("=", 1)[1]
    return None
