"""Ctrl-C between two steps and not inside one, so that what was done is saved whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether Ctrl-C was pressed since the block began."""

    requested = False


@contextmanager
def deferred_interrupt() -> Iterator[Interrupt]:
    """Hold Ctrl-C back inside the block: the loop looks at `.requested`, saves, and raises KeyboardInterrupt.

    A second Ctrl-C interrupts at once. Outside the main thread signals do not arrive, and the block changes
    nothing.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def hold(number: int, frame: FrameType | None) -> None:
        if interrupt.requested:
            raise KeyboardInterrupt
        interrupt.requested = True

    previous = signal.signal(signal.SIGINT, hold)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
