"""Which tiles of its road CarRacing's car leaves behind untouched: what the game knows and its rewards do not say.

A tile that is touched pays at once. One that is not costs nothing when it is passed: the bill comes at the end, since a
lap ends with the last of all tiles. Whoever learns from rewards that come tick by tick hardly hears of it.
"""

from __future__ import annotations

from typing import Any

WAIT = 3  # tiles: so far ahead of a tile no wheel touches it any more
MOST = 12  # tiles of one step; a car that leaves the road and comes back far ahead has not passed what lies between


class LeftBehind:
    """Counts them along one episode.

    Args:
        car_racing: Gymnasium's game, without wrappers, in its episode's first moment.
    """

    def __init__(self, car_racing: Any) -> None:
        self._road, self._wheels = car_racing.road, car_racing.car.wheels
        self._front = 0  # the tile furthest along that a wheel has been on
        self._next = 0  # the first one that is not behind the car

    def count(self) -> int:
        """Tiles that have been left behind untouched since it was asked last, MOST at most. To be asked every step."""
        touched = max((tile.idx for wheel in self._wheels for tile in wheel.tiles), default=-1)
        # Half a road further along is not ahead, but behind, over the start.
        if self._front < touched < self._front + len(self._road) // 2:
            self._front = touched
        behind = range(self._next, self._front - WAIT)
        self._next = max(self._next, behind.stop)
        return min(MOST, sum(not self._road[tile].road_visited for tile in behind))
