"""Gymnasium's CarRacing, painting only the frames that are looked at, and those faster.

Gymnasium paints at every step, and nearly all of a step's time goes into it: 700 polygons, of which some 30 can be
seen, are turned one corner at a time. Here all corners are turned in one product, what cannot be seen is left out, and
nothing is painted of the indicator bar, which V is not shown. What is left is drawn by the same library in the same
order, so that the frames are Gymnasium's, bit for bit. The first frame of every episode is painted both ways and
compared; should they differ, or another version of Gymnasium have other names, then Gymnasium paints.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from worldmodels.envs.car_tiles import LeftBehind

ROWS = 84  # of Gymnasium's 96; the indicator bar is below them
MARGIN = 2  # pixels by which an antialiased edge may reach beyond its corners


class PaintedGame:
    """One CarRacing of Gymnasium's, for a worker.

    Args:
        game: as `gymnasium.make` gives it.
    """

    def __init__(self, game: Any) -> None:
        self._game, self._car_racing = game, game.unwrapped
        self.paints = True  # False: Gymnasium does
        self.missed = 0  # tiles that the last step has left behind untouched
        self._car_racing._render = lambda mode: None  # what its steps call

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of a seed. Returns its first frame (84, 96, 3) uint8."""
        frame = self._game.reset(seed=seed)[0]
        self._left_behind, self.missed = LeftBehind(self._car_racing), 0
        if self.paints:
            frame = type(self._car_racing)._render(self._car_racing, "state_pixels")
            try:
                self._learn_the_track()
                self.paints = np.array_equal(self._paint(), frame[:ROWS])
            except (AttributeError, TypeError, ValueError):
                self.paints = False
            if not self.paints:
                del self._car_racing._render
        return frame[:ROWS]

    def step(self, action: np.ndarray, look: bool) -> tuple[np.ndarray | None, float, bool, bool]:
        """One step: the frame after it (84, 96, 3) uint8, reward, terminated and truncated.

        The frame may be None where nobody looks; of an episode's last step there is one.
        """
        frame, reward, terminated, truncated, _ = self._game.step(action)
        self.missed = self._left_behind.count()
        if self.paints:
            frame = self._frame() if look or terminated or truncated else None
        else:
            frame = frame[:ROWS]
        return frame, float(reward), bool(terminated), bool(truncated)

    def close(self) -> None:
        """End the game."""
        self._game.close()

    def _learn_the_track(self) -> None:
        from gymnasium.envs.box2d import car_racing as rules

        at = rules.GRASS_DIM * np.arange(-20, 20, 2)
        x, y = (corner.ravel() for corner in np.meshgrid(at, at, indexing="ij"))
        far_x, far_y = x + rules.GRASS_DIM, y + rules.GRASS_DIM
        grass = np.stack([(far_x, y), (x, y), (x, far_y), (far_x, far_y)], axis=0)  # (4, 2, 400)
        road = [corners for corners, _ in self._car_racing.road_poly]
        corners = np.concatenate([grass.transpose(2, 0, 1), np.array(road, np.float64)])  # (K, 4, 2)
        self._corners, self._patches = corners, grass.shape[2]
        self._centers = corners.mean(axis=1)  # (K, 2)
        self._radius = float(np.linalg.norm(corners - self._centers[:, None], axis=2).max())

    def _near(self, x: float, y: float, reach: float) -> np.ndarray:
        """Rows of the corners, in the order of painting, of what may lie within `reach` of a place."""
        away = ((self._centers - (x, y)) ** 2).sum(axis=1)
        return np.flatnonzero(away < (reach + self._radius) ** 2)

    def _frame(self) -> np.ndarray:
        return self._paint()

    def _paint(self) -> np.ndarray:
        """The frame as `CarRacing._render` paints it, rows 0 to 83."""
        import pygame
        from gymnasium.envs.box2d import car_racing as rules
        from pygame import gfxdraw

        env = self._car_racing
        width, height = rules.WINDOW_W, rules.WINDOW_H
        angle = -env.car.hull.angle
        zoom = 0.1 * rules.SCALE * max(1 - env.t, 0) + rules.ZOOM * rules.SCALE * min(env.t, 1)
        x, y = env.car.hull.position
        moved = pygame.math.Vector2((-x * zoom, -y * zoom)).rotate_rad(angle)
        shift = (width / 2 + moved[0], height / 4 + moved[1])
        cos, sin = math.cos(angle), math.sin(angle)

        def on_canvas(corners: np.ndarray) -> np.ndarray:
            across, along = corners[..., 0], corners[..., 1]
            turned = (across * cos - along * sin, across * sin + along * cos)  # as Vector2.rotate_rad does
            return np.stack([part * zoom + by for part, by in zip(turned, shift, strict=True)], axis=-1)

        bar = height - height * ROWS // 96  # pixels of it, at the bottom
        canvas, upright = canvases(width, height, bar)
        edge = rules.PLAYFIELD
        # Where the view ends, seen from the car: is there anything but the field in it?
        reach = math.hypot(width / 2, 0.75 * height) / zoom
        if max(abs(x), abs(y)) + reach < edge:
            canvas.fill(env.bg_color)
        else:
            canvas.fill(0)
            field = on_canvas(np.array([(edge, edge), (edge, -edge), (-edge, -edge), (-edge, edge)])).tolist()
            gfxdraw.aapolygon(canvas, field, env.bg_color)
            gfxdraw.filled_polygon(canvas, field, env.bg_color)

        near = self._near(x, y, reach)
        corners = on_canvas(self._corners[near])  # (K, 4, 2) pixels
        least, most = corners.min(axis=1), corners.max(axis=1)
        seen = ((most >= (-MARGIN, bar - MARGIN)) & (least <= (width + MARGIN, height + MARGIN))).all(axis=1)
        for row, points in zip(near[seen].tolist(), corners[seen].tolist(), strict=True):
            on_road = row - self._patches
            # A tile's colour changes when it is driven over.
            color = env.grass_color if on_road < 0 else [int(part) for part in env.road_poly[on_road][1]]
            gfxdraw.aapolygon(canvas, points, color)
            gfxdraw.filled_polygon(canvas, points, color)
        env.car.draw(canvas, zoom, shift, angle, False)

        return finished(canvas, upright)


def finished(canvas: Any, upright: Any) -> np.ndarray:
    """What was painted on a canvas, upright and at the size of a frame: (84, 96, 3) uint8."""
    import pygame

    pixels = pygame.surfarray.pixels2d(canvas)  # (width, height), not a copy
    kept = pygame.surfarray.pixels2d(upright)
    kept[:] = pixels[:, ::-1][:, : kept.shape[1]]
    del pixels, kept  # the surfaces are locked while these are there
    small = pygame.transform.smoothscale(upright, (96, ROWS))
    frame = bytearray(pygame.image.tobytes(small, "RGB"))  # an array of bytes could not be written to
    return np.frombuffer(frame, np.uint8).reshape(ROWS, 96, 3)


@cache
def canvases(width: int, height: int, bar: int) -> tuple[Any, Any]:
    """What all games of this process are painted on: upside down, and what is kept of it upright.

    They are painted one after the other, and memory that is at hand is faster than new memory.
    """
    import pygame

    return pygame.Surface((width, height)), pygame.Surface((width, height - bar))
