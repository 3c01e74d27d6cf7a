"""Progress on a terminal and in a log file."""

import io
import re

import pytest
from rich.console import Console

from worldmodels.runs import progress as room
from worldmodels.runs.progress import Counter, progress


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(room, "time", clock)
    return clock


def log_file() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=40), text


def test_a_line_every_ten_seconds_and_one_at_the_end(clock: Clock):
    console, text = log_file()
    with progress("memory", 4000, "steps", console=console) as bar:
        for _ in range(40):
            clock.now += 1
            bar.advance(100, loss=1.02)
    assert text.getvalue().splitlines() == [
        "memory  1,000/4,000 steps  25 %  100 steps/s  30 s left  loss 1.02",
        "memory  2,000/4,000 steps  50 %  100 steps/s  20 s left  loss 1.02",
        "memory  3,000/4,000 steps  75 %  100 steps/s  10 s left  loss 1.02",
        "memory  4,000/4,000 steps  100 %  100 steps/s  loss 1.02",
        "memory  4,000 steps in 40 s  100 steps/s  loss 1.02",
    ]


def test_the_rate_is_that_of_late(clock: Clock):
    counter = Counter("memory", 100_000, "steps")
    for _ in range(100):
        clock.now += 1
        counter.advance(1000)  # compiled and warm ...
    for _ in range(60):
        clock.now += 1
        counter.advance(10)  # ... and now another job shares the machine
    assert counter.rate() == pytest.approx(10, rel=0.1)


def test_a_resumed_stage_counts_only_its_own_work_in_the_rate(clock: Clock):
    console, text = log_file()
    with progress("memory", 4000, "steps", start=3000, console=console) as bar:
        clock.now += 10
        bar.advance(500)
        clock.now += 10
        bar.advance(500)
    assert text.getvalue().splitlines() == [
        "memory  3,500/4,000 steps  88 %  50 steps/s  10 s left",
        "memory  4,000/4,000 steps  100 %  50 steps/s",
        "memory  1,000 steps in 20 s  50 steps/s",
    ]


def test_a_stage_that_stops_says_where(clock: Clock):
    console, text = log_file()
    with pytest.raises(KeyboardInterrupt), progress("memory", 4000, "steps", console=console) as bar:  # noqa: PT012
        clock.now += 2
        bar.advance(10)
        raise KeyboardInterrupt
    assert text.getvalue() == "memory  stopped at 10/4,000 steps after 2.0 s  5 steps/s\n"


def test_nothing_to_do_is_no_error(clock: Clock):
    console, text = log_file()
    with progress("memory", 0, "steps", console=console):
        pass
    assert text.getvalue() == "memory  0 steps in 0.0 s\n"


def test_brackets_in_names_are_text_and_not_markup(clock: Clock):
    console, text = log_file()
    with progress("[bold]memory", 1, "steps", console=console) as bar:
        bar.advance(1, note="[red]")
    assert "[bold]memory  1 steps" in text.getvalue()
    assert "note [red]" in text.getvalue()


def test_a_terminal_gets_a_bar_and_keeps_one_line():
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with progress("memory", 50, "steps", console=console) as bar:
        for _ in range(50):
            bar.advance(1, loss=0.5)
    assert "━" in text.getvalue()
    last = text.getvalue().rstrip("\n").splitlines()[-1]
    assert re.search(r"memory  50 steps in [\d.]+ s  [\d,]+ steps/s  loss 0\.5$", last)


def test_it_goes_to_standard_error(capsys: pytest.CaptureFixture[str]):
    with progress("memory", 1, "steps") as bar:
        bar.advance()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("memory  1 steps in ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9, "9.0 s"),
        (59.4, "59 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations(seconds: float, text: str):
    assert room.duration(seconds) == text
