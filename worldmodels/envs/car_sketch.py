"""Gymnasium's CarRacing with frames that are sketched: painted at half its size, for playing while learning.

The game, its tracks and its rewards are Gymnasium's. What takes the time is to paint 1000 x 800 pixels of which 96 x 96
are left. A sketch is painted at 480 x 384, without antialiased edges, which the scaling down makes good. On average a
frame differs from Gymnasium's by 1/255, and what V sees of it by a hundredth of its spread (tests/envs hold it to
that); published scores are never counted on sketches.
"""

from __future__ import annotations

import math

import numpy as np

from worldmodels.envs.car_painter import ROWS, PaintedGame, canvases, finished

WIDTH, HEIGHT = 480, 384  # 5 x 4 times what is left of it


class SketchedGame(PaintedGame):
    """One CarRacing of Gymnasium's, for a worker, as `PaintedGame` is; its frames are sketches.

    Where Gymnasium has to paint, because its names are others, the frames are its own.
    """

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of a seed. Returns its first frame (84, 96, 3) uint8."""
        frame = super().reset(seed)
        return self._frame() if self.paints else frame

    def _learn_the_track(self) -> None:
        super()._learn_the_track()
        self._shapes = [
            [list(fixture.shape.vertices) for fixture in body.fixtures]
            for body in self._car_racing.car.drawlist
        ]

    def _frame(self) -> np.ndarray:
        """As `_paint`: the same things in the same order."""
        import pygame
        from gymnasium.envs.box2d import car_dynamics
        from gymnasium.envs.box2d import car_racing as rules
        from pygame import gfxdraw

        env, hull = self._car_racing, self._car_racing.car.hull
        angle, (x, y) = -hull.angle, hull.position
        zoom = 0.1 * rules.SCALE * max(1 - env.t, 0) + rules.ZOOM * rules.SCALE * min(env.t, 1)
        zoom *= WIDTH / rules.WINDOW_W
        cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
        shift = (WIDTH / 2 - (x * cos - y * sin), HEIGHT / 4 - (x * sin + y * cos))

        def on_canvas(corners: np.ndarray) -> np.ndarray:
            across, along = corners[..., 0], corners[..., 1]
            moved = np.empty_like(corners)
            moved[..., 0] = across * cos - along * sin + shift[0]
            moved[..., 1] = across * sin + along * cos + shift[1]
            return moved

        bar = HEIGHT - HEIGHT * ROWS // 96
        canvas, upright = canvases(WIDTH, HEIGHT, bar)
        edge, reach = rules.PLAYFIELD, math.hypot(WIDTH / 2, 0.75 * HEIGHT) / zoom
        if max(abs(x), abs(y)) + reach < edge:
            canvas.fill(env.bg_color)
        else:
            canvas.fill(0)
            field = np.array([(edge, edge), (edge, -edge), (-edge, -edge), (-edge, edge)], np.float64)
            gfxdraw.filled_polygon(canvas, on_canvas(field).tolist(), env.bg_color)
        rows = self._near(x, y, reach)
        corners = on_canvas(self._corners[rows])  # (K, 4, 2) pixels
        seen = ((corners.max(axis=1) >= (0, bar)) & (corners.min(axis=1) <= (WIDTH, HEIGHT))).all(axis=1)
        for row, points in zip(rows[seen].tolist(), corners[seen].tolist(), strict=True):
            on_road = row - self._patches
            color = env.grass_color if on_road < 0 else [int(part) for part in env.road_poly[on_road][1]]
            gfxdraw.filled_polygon(canvas, points, color)

        for body, shapes in zip(env.car.drawlist, self._shapes, strict=True):
            turn, at = body.angle + angle, on_canvas(np.array(body.position, np.float64)).tolist()
            c, s = math.cos(turn) * zoom, math.sin(turn) * zoom
            painted = [(shape, [int(part * 255) for part in body.color]) for shape in shapes]
            if body is not hull and (stripe := _stripe(body.phase)):
                painted.append((stripe, list(car_dynamics.WHEEL_WHITE)))
            for shape, color in painted:
                points = [(a * c - b * s + at[0], a * s + b * c + at[1]) for a, b in shape]
                pygame.draw.polygon(canvas, color, points)

        return finished(canvas, upright)


def _stripe(phase: float) -> list[tuple[float, float]]:
    """The white stripe on a wheel that has turned by so many radians, where it is on the upper side."""
    from gymnasium.envs.box2d import car_dynamics as parts

    (s1, c1), (s2, c2) = ((math.sin(at), math.cos(at)) for at in (phase, phase + 1.2))
    if s1 > 0 and s2 > 0:
        return []
    c1 = math.copysign(1, c1) if s1 > 0 else c1
    c2 = math.copysign(1, c2) if s2 > 0 else c2
    across, along = parts.WHEEL_W * parts.SIZE, parts.WHEEL_R * parts.SIZE
    return [(-across, along * c1), (across, along * c1), (across, along * c2), (-across, along * c2)]
