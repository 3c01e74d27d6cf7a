"""Ctrl-C waits for the end of a step; a second one does not wait."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from worldmodels.runs.interrupt import deferred_interrupt


@pytest.fixture(autouse=True)
def ctrl_c_as_usual() -> Iterator[None]:
    """A shell starts its background jobs with Ctrl-C ignored, and these tests may be part of one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_held_back_inside_the_block():
    with deferred_interrupt() as interrupt:
        assert not interrupt.requested
        press_ctrl_c()
        assert interrupt.requested


def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupt:  # noqa: PT012
        press_ctrl_c()
        assert interrupt.requested
        press_ctrl_c()
        pytest.fail("went on after the second Ctrl-C")


def test_each_block_begins_without_a_request():
    with deferred_interrupt():
        press_ctrl_c()
    with deferred_interrupt() as interrupt:
        assert not interrupt.requested


@pytest.mark.parametrize("error", [None, KeyboardInterrupt, ValueError])
def test_afterwards_ctrl_c_does_what_it_did_before(error: type[BaseException] | None):
    before = signal.getsignal(signal.SIGINT)
    if error is None:
        with deferred_interrupt():
            assert signal.getsignal(signal.SIGINT) is not before
    else:
        with pytest.raises(error), deferred_interrupt():
            raise error
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_blocks_can_lie_inside_each_other():
    with deferred_interrupt() as outer:
        with deferred_interrupt() as inner:
            press_ctrl_c()
        assert inner.requested
        assert not outer.requested
        press_ctrl_c()
        assert outer.requested


def test_in_another_thread_nothing_changes():
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with deferred_interrupt() as interrupt:
            seen.extend([interrupt.requested, signal.getsignal(signal.SIGINT)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, before]
