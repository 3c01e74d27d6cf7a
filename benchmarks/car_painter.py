"""Steps a second of one CarRacing-v3 in Gymnasium: `python benchmarks/car_painter.py`.

The same random driving, painted by Gymnasium and by worldmodels/envs/car_painter.py, and sketched by
worldmodels/envs/car_sketch.py, with actions held for one step and for four; of the latter only the last frame is
looked at. By processor time of one core, so that other work on the machine disturbs little, and without starting the
games.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np

from worldmodels.envs.car_painter import ROWS, PaintedGame
from worldmodels.envs.car_sketch import SketchedGame

HOLDS = (1, 4)


def main() -> None:
    """Drive and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=4)
    parser.add_argument("--ticks", type=int, default=100, help="actions of an episode")
    options = parser.parse_args()
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    for hold in HOLDS:
        seconds, steps, differing, away = np.zeros(3), 0, 0, []
        for seed in range(options.episodes):
            library, painted, sketched = new_game(), PaintedGame(new_game()), SketchedGame(new_game())
            library.reset(seed=seed)
            painted.reset(seed)
            sketched.reset(seed)
            action, random = np.array([0, 0.5, 0], np.float32), np.random.default_rng(seed)
            for _ in range(options.ticks):
                action = np.clip(action + random.normal(0, (0.3, 0.3, 0.1)), (-1, 0, 0), (1, 1, 0.3))
                action = action.astype(np.float32)
                times = [time.process_time()]
                frame = [library.step(action)[0] for _ in range(hold)][-1][:ROWS]
                times.append(time.process_time())
                ours = [painted.step(action, repeat == hold - 1)[0] for repeat in range(hold)][-1]
                times.append(time.process_time())
                sketch = [sketched.step(action, repeat == hold - 1)[0] for repeat in range(hold)][-1]
                times.append(time.process_time())
                assert ours is not None, "the last frame is looked at"
                assert sketch is not None
                seconds += np.diff(times)
                steps += hold
                differing += not np.array_equal(frame, ours)
                away.append(np.abs(frame.astype(int) - sketch).mean())
        theirs, painting, sketching = steps / seconds
        print(
            f"actions held for {hold}: Gymnasium {theirs:.0f} steps/s, painted {painting:.0f} "
            f"({painting / theirs:.1f} times as many), sketched {sketching:.0f} ({sketching / theirs:.1f}); "
            f"{differing} of {steps // hold} painted frames differ, sketches by {np.mean(away):.2f}/255"
        )


def new_game() -> Any:
    """One game of Gymnasium's."""
    import gymnasium

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own action space
        return gymnasium.make("CarRacing-v3", disable_env_checker=True)


if __name__ == "__main__":
    main()
