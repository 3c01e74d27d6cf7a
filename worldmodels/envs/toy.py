"""The toy game: keep a paddle under a drifting ball. For tests and for a first look at the whole pipeline.

Action space: 1 number, -1 to 1: the paddle's speed, as a fraction of 4 pixels per step to the left or right.
Observation space: frames (64, 64, 3) uint8: a yellow ball above, a blue paddle below, on a dark ground.
Rewards: 1 per step when the paddle is right under the ball, falling linearly to 0 at a distance of 24 pixels.
Starting state: ball and paddle at random places; the ball drifts at a random speed of 0.5 to 1.5 pixels per
step. It bounces off the walls; after the start nothing is random.
Episode end: terminated when the paddle has been more than 24 pixels off for 8 steps in a row (the ball is
lost), truncated after 40 steps.

Differences from the paper: the paper has no such game.
"""

from collections.abc import Sequence

import numpy as np

from worldmodels.envs.game import FRAME_SIZE, GameSpec
from worldmodels.envs.pool import Turn

TOY = GameSpec(
    name="toy",
    gym_id=None,
    action_kinds=("symmetric",),
    frame_shape=(FRAME_SIZE, FRAME_SIZE, 3),
    frame_rows=FRAME_SIZE,
    max_steps=40,
    mirror_signs=(-1.0,),
)

PADDLE_SPEED = 4.0  # pixels per step; a paddle across the screen arrives in a third of an episode
REACH = 24.0  # pixels: further away than this there is no reward
PATIENCE = 8  # steps out of reach before the ball is lost
EDGE = 7  # pixels: no nearer do the centres of ball and paddle come to a wall
BALL_HALF, PADDLE_HALF = 8, 12  # half widths in pixels: V finds big things in seconds, small ones in minutes
BALL_ROWS, PADDLE_ROWS = slice(8, 24), slice(44, 60)
GROUND, BALL, PADDLE = (24, 24, 32), (240, 220, 60), (60, 140, 240)


class ToyGames:
    """B toy games, all played by the same few numpy operations."""

    counts_missed = False

    def __init__(self, spec: GameSpec = TOY) -> None:
        self._spec = spec
        self.start([0])

    def start(self, seeds: Sequence[int]) -> np.ndarray:
        """Start one episode per seed; frames (B, 64, 64, 3) uint8."""
        draws = np.array([np.random.default_rng(seed).random(4) for seed in seeds])  # (B, 4)
        room = FRAME_SIZE - 2 * EDGE
        self._ball = EDGE + room * draws[:, 0]  # (B,) centres, in pixels from the left
        self._paddle = EDGE + room * draws[:, 1]
        self._drift = (0.5 + draws[:, 2]) * np.where(draws[:, 3] < 0.5, -1.0, 1.0)
        self._lost_for = np.zeros(len(seeds), np.int64)
        self._steps = np.zeros(len(seeds), np.int64)
        return self._draw(np.arange(len(seeds)))

    def play(self, rows: np.ndarray, actions: np.ndarray, repeats: int) -> Turn:
        """Hold actions (n, 1) float32 for `repeats` steps in games `rows` (n,), stopping at an end."""
        turn = Turn.blank(len(rows))
        for _ in range(repeats):
            going = np.flatnonzero(~(turn.terminated | turn.truncated))  # positions in rows
            which = rows[going]
            turn.rewards[going] += self._tick(which, actions[going, 0])
            turn.terminated[going] = self._lost_for[which] >= PATIENCE
            turn.truncated[going] = ~turn.terminated[going] & (self._steps[which] >= self._spec.max_steps)
            turn.steps[going] += 1
        turn.frames[:] = self._draw(rows)
        return turn

    def _tick(self, rows: np.ndarray, speed: np.ndarray) -> np.ndarray:
        """One step of games `rows` (n,) at paddle speeds (n,); rewards (n,)."""
        low, high = EDGE, FRAME_SIZE - EDGE
        ball = self._ball[rows] + self._drift[rows]
        self._drift[rows] *= np.where((ball < low) | (ball > high), -1.0, 1.0)
        self._ball[rows] = np.clip(ball, low, high)
        self._paddle[rows] = np.clip(self._paddle[rows] + PADDLE_SPEED * speed, low, high)
        distance = np.abs(self._ball[rows] - self._paddle[rows])
        self._lost_for[rows] = np.where(distance > REACH, self._lost_for[rows] + 1, 0)
        self._steps[rows] += 1
        return np.maximum(0.0, 1.0 - distance / REACH)

    def _draw(self, rows: np.ndarray) -> np.ndarray:
        """Frames of games `rows` (n,): (n, 64, 64, 3) uint8, moving by whole pixels."""
        frames = np.empty((len(rows), *self._spec.frame_shape), np.uint8)
        frames[:] = GROUND
        columns = np.arange(FRAME_SIZE)
        for places, half, band, colour in (
            (self._ball[rows], BALL_HALF, BALL_ROWS, BALL),
            (self._paddle[rows], PADDLE_HALF, PADDLE_ROWS, PADDLE),
        ):
            covered = np.abs(columns + 0.5 - np.round(places)[:, None]) < half  # (n, 64)
            frames[:, band] = np.where(covered[:, None, :, None], colour, GROUND)  # (n, height, 64, 3)
        return frames

    def close(self) -> None:
        """Nothing to give back."""
