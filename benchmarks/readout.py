"""What a linear layer can read from V and M of CarRacing: `python benchmarks/readout.py pretrained:car-racing`.

C is linear: it can use of the game what is linear in its features. Here the run's agent drives in stock Gymnasium, and
beside what it sees stands what the game knows: where the car is on the road, how fast it is, how the road bends ahead.
A ridge regression is fitted to three quarters of the episodes; of the others the table has the share of each quantity's
variance that it explains (1 is all), and the error that remains, in the game's own units, from z, from h and from both.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import gymnasium
import numpy as np
import torch
from sentences import in_a_sentence, run_of

from worldmodels.controller.linear import act
from worldmodels.errors import UserError
from worldmodels.pipeline.work import Parts, Work
from worldmodels.worlds.actual import Senses

QUANTITIES = ("offset", "heading", "speed", "turning", "bend 0-3", "bend 4-7", "bend 8-11", "bend 12-15")
UNITS = "lengths of the game (half a road: 6.67), radians, and seconds; bends over so many tiles ahead"
BEGINS = 60  # steps: until then the picture still zooms in
NEAR = 15.0  # lengths from the middle of the road; beyond that the car is lost, and "ahead" means little
RIDGE = 3.0


def main() -> None:
    """Play, fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="run folder of CarRacing, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=8000, help="of the first episode")
    options = parser.parse_args()
    if options.episodes < 4:
        parser.error("--episodes must be at least 4: a quarter of them is for the test")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    work = run_of(options.run, "car-racing", "cpu")
    parts = work.best()
    if parts.config.features != "zh":
        raise UserError(f"the C of {options.run} sees {parts.config.features}; give a run whose C sees zh")
    fitted, features, truth = [], [], []
    for episode in range(options.episodes):
        seen, known = drive(work, parts, options.seed + episode)
        fitted.append(np.full(len(seen), episode % 4 < 3))
        features.append(seen)
        truth.append(known)
    train, x, y = np.concatenate(fitted), np.concatenate(features), np.concatenate(truth)
    if train.all() or not train.any():
        parser.exit(
            1, f"{options.run} leaves the road too soon to look at anything; give it more --episodes\n"
        )
    latents = work.experiment.mdn_rnn.latent_size
    print(f"{len(x)} looks of {options.episodes} episodes; {UNITS}\n")
    print(f"{'':8}" + "".join(f"{name:>14}" for name in QUANTITIES))
    print(f"{'spread':8}" + "".join(f"{spread:14.3f}" for spread in y[~train].std(axis=0)))
    for name, part in (("z", x[:, :latents]), ("h", x[:, latents:]), ("z and h", x)):
        error, explained = readout(part, y, train)
        cells = (f"{e:.3f} ({r:.2f})" for e, r in zip(error, explained, strict=True))
        print(f"{name:8}" + "".join(f"{cell:>14}" for cell in cells))


def drive(work: Work, parts: Parts, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What C saw at each look of an episode (n, F), and what the game knew then (n, QUANTITIES)."""
    senses = Senses(parts.vision, parts.memory, "zh", work.device)
    env = gymnasium.make("CarRacing-v3")
    frame, _ = env.reset(seed=seed)
    seen = senses.begin(work.spec.observe(frame[None]))
    features, truth, steps, over = [], [], 0, False
    while not over:
        known = knowledge(env.unwrapped)
        if steps >= BEGINS and abs(known[0]) < NEAR and abs(known[1]) < 1:
            features.append(seen[0].numpy())
            truth.append(known)
        actions = act(parts.config, parts.parameters[None], seen[None])[0]
        (held,) = work.spec.game_actions(actions.numpy())
        for _ in range(work.experiment.action_repeat):
            frame, _, terminated, truncated, _ = env.step(held)
            steps, over = steps + 1, terminated or truncated
            if over:
                break
        seen = senses.go_on(actions, work.spec.observe(frame[None]))
    env.close()
    of = len(features)  # an episode may have no looks near the road
    return np.reshape(features, (of, senses.feature_size)), np.reshape(truth, (of, len(QUANTITIES)))


def knowledge(env: Any) -> list[float]:
    """QUANTITIES of the game as it stands."""
    track, hull = np.array(env.track), env.car.hull
    at, turned = np.array(hull.position), np.diff(np.unwrap([*track[:, 1], track[0, 1]]))
    nearest = int(np.hypot(*(track[:, 2:] - at).T).argmin())
    along = track[nearest, 1]
    offset = (at - track[nearest, 2:]) @ [np.cos(along), np.sin(along)]
    heading = (hull.angle - along + np.pi) % (2 * np.pi) - np.pi
    bends = [turned[np.arange(nearest + i, nearest + i + 4) % len(track)].sum() for i in (0, 4, 8, 12)]
    speed = np.hypot(*hull.linearVelocity)
    return [float(known) for known in (offset, heading, speed, hull.angularVelocity, *bends)]


def readout(x: np.ndarray, y: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Error and explained share of each column of y where not `train`, by ridge regression where `train`."""
    x = (x - x[train].mean(axis=0)) / (x[train].std(axis=0) + 1e-3)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    weights = np.linalg.solve(x[train].T @ x[train] + RIDGE * np.eye(x.shape[1]), x[train].T @ y[train])
    squares = np.square(y[~train] - x[~train] @ weights).mean(axis=0)
    return np.sqrt(squares), 1 - squares / y[~train].var(axis=0)


if __name__ == "__main__":
    with torch.inference_mode():
        in_a_sentence(main)
