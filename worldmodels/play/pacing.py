"""When the next step is due, which frames are sent, and how much a client may say. Times are seconds of any clock."""

from __future__ import annotations

import math
from collections import deque

from worldmodels.play.messages import Refused

PATIENCE = 0.25  # seconds behind after which lost time is given up
SPARED = 2  # pictures in a row that a server behind its time leaves out: a third of them is always drawn
IN_FLIGHT = 2  # frames on their way beyond those that the round trip explains
MESSAGES = 300  # a second, sustained
REFUSALS, REFUSALS_IN = 20, 10.0  # so many refused messages within so many seconds end a connection


class Clock:
    """Steps at a fixed rate."""

    def __init__(self, rate: float, now: float) -> None:
        self.period = 1 / rate
        self._due = now
        self._spared = 0

    def restart(self, now: float) -> None:
        """Begin to count here: nothing has been missed."""
        self._due = now

    def wait(self, now: float) -> float:
        """Seconds until the next step is due; 0 when it is."""
        return max(0.0, self._due - now)

    def step(self, now: float) -> bool:
        """The due step begins now. Returns whether there is time to draw it."""
        behind = now - self._due
        self._due += self.period
        if behind > PATIENCE:
            self._due = now + self.period  # what is lost is not caught up with
        draw = behind < self.period or self._spared >= SPARED
        self._spared = 0 if draw else self._spared + 1
        return draw


class Window:
    """Frames that were sent and not yet acknowledged: where the way is long or full, fewer are sent."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._round_trip = 0.0  # smallest measured, in seconds
        self._sent = 0
        self._under_way: deque[tuple[int, float]] = deque()  # numbers and times, oldest first

    @property
    def limit(self) -> int:
        """Frames that may be under way."""
        return IN_FLIGHT + min(math.ceil(self._round_trip * self._rate), math.ceil(self._rate))

    @property
    def open(self) -> bool:
        """Whether another frame may be sent."""
        return len(self._under_way) < self.limit

    def send(self, now: float) -> int:
        """A frame goes out; its number."""
        self._sent += 1
        self._under_way.append((self._sent, now))
        return self._sent

    def acknowledge(self, number: int, now: float) -> None:
        """Frames up to `number` were drawn. Refused when it was never sent."""
        if not 1 <= number <= self._sent:
            raise Refused(f"frame {number} was never sent")
        while self._under_way and self._under_way[0][0] <= number:
            acknowledged, sent = self._under_way.popleft()
            if acknowledged == number:
                trip = now - sent
                self._round_trip = min(self._round_trip, trip) if self._round_trip else trip


class Quota:
    """How much one connection may say, and how often in vain."""

    def __init__(self, now: float) -> None:
        self._left, self._last = 2.0 * MESSAGES, now
        self._refused: deque[float] = deque(maxlen=REFUSALS)

    def message(self, now: float) -> bool:
        """Whether another message is within it."""
        self._left = min(2.0 * MESSAGES, self._left + (now - self._last) * MESSAGES) - 1
        self._last = now
        return self._left >= 0

    def refusal(self, now: float) -> bool:
        """Whether another refused message is."""
        self._refused.append(now)
        return len(self._refused) < REFUSALS or now - self._refused[0] > REFUSALS_IN
