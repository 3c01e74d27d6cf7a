"""CarRacing-v3: drive a car around a random track, seen from above.

Action space: 3 numbers. 0: steering, -1 (left) to 1 (right). 1: gas, 0 to 1. 2: brake, 0 to 1.
Observation space: frames (96, 96, 3) uint8; rows 84 to 95 are an indicator bar, cut off for V.
Rewards: -0.1 per step, and 1000/N for each of the track's N tiles when the car first touches it.
Starting state: at rest on the road; the camera zooms in during the first 50 steps (one second).
Episode end: terminated when the car has touched every tile (finished), or, with a reward of -100, when it leaves the
playfield. Truncated after 1,000 steps. By lap_complete_percent it would also be finished where it touches tile 0
for the first time having touched more than 95 % of all; but on tile 0 it stands when it starts.
Solved: a mean return of 900 over 100 episodes.

Differences from the paper: the paper played gym's CarRacing-v0, which was finished by the last tile too.

The backends are one game with three painters: on the same track, the same actions earn the same rewards. EnvPool's
seeds draw other tracks than Gymnasium's, and its frames are about 2/255 brighter and not antialiased; sketches are
of Gymnasium's tracks, and 1/255 brighter (`tests/envs/` holds all to it).
"""

from worldmodels.envs.game import GameSpec

CAR_RACING = GameSpec(
    name="car-racing",
    gym_id="CarRacing-v3",
    action_kinds=("symmetric", "unit", "positive"),  # steering, gas, brake, squashed as in the authors' code
    frame_shape=(96, 96, 3),
    frame_rows=84,  # without the indicator bar, as in the authors' code
    max_steps=1000,
    mirror_signs=(-1.0, 1.0, 1.0),
    options=(("lap_complete_percent", 0.95),),
    painter="worldmodels.envs.car_painter:PaintedGame",
    sketcher="worldmodels.envs.car_sketch:SketchedGame",
    has_road=True,
)
