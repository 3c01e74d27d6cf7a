"""What the screens have in common."""

from __future__ import annotations

import secrets
from typing import Protocol

from worldmodels.play.frame import Frame


class Screen(Protocol):
    """One of the four things a person can look at. Everything but `close` happens in one thread at a time."""

    name: str
    paused: bool

    @property
    def running(self) -> bool:
        """Whether `advance` would do something."""
        ...

    def advance(self) -> None:
        """One step of the game."""
        ...

    def picture(self) -> Frame | None:
        """What is to be seen now; None when there is nothing to show yet."""
        ...

    def close(self) -> None:
        """End the game's process, if there is one; may be called twice."""
        ...


def any_seed() -> int:
    """A new one, short enough to be told to somebody."""
    return secrets.randbelow(1_000_000)
