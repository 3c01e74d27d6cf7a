"""Does V see the fireballs of Take Cover? How much of their light is left in its reconstruction, by their size.

    python benchmarks/fireballs.py pretrained:take-cover

Plays fresh random episodes, finds fireballs as bright spots in the frames that V gets, and compares each spot's
contrast with the wall behind it to that in V's reconstruction. 1 is all of it, 0 none. A fireball counts as seen when
half of its contrast is left.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from sentences import in_a_sentence, run_of
from tics import batches

from worldmodels.envs.pool import open_pool
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Work
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.held_actions import HeldActions
from worldmodels.vision.vae import pixels

BRIGHT = 170 / 255  # of the green channel; nothing else in the room is half as bright
SIZES = ((1, 2), (3, 5), (6, 11), (12, 4096))  # pixels


def spots(frame: np.ndarray) -> list[np.ndarray]:
    """Bright spots of a frame (64, 64, 3) in [0, 1], told apart by the columns between them: boolean masks (64, 64)."""
    bright = frame[:, :, 1] > BRIGHT
    lit = np.flatnonzero(bright.any(axis=0))
    groups = np.split(lit, np.flatnonzero(np.diff(lit) > 1) + 1) if len(lit) else []
    masks = []
    for columns in groups:
        mask = np.zeros_like(bright)
        mask[:, columns] = bright[:, columns]
        masks.append(mask)
    return masks


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder, or pretrained:NAME")
    parser.add_argument("--episodes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=2_000_000_000)
    arguments = parser.parse_args()
    refuse_less_than_one(episodes=arguments.episodes)
    work = run_of(arguments.run, "take-cover")
    vision, _ = work.vision(work.experiment.rounds.count - 1)  # the last one
    found: dict[tuple[int, int], list[float]] = {size: [] for size in SIZES}
    errors = []
    for episode in played(work, range(arguments.seed, arguments.seed + arguments.episodes)):
        for first in range(0, len(episode.frames), 256):
            seen = pixels(torch.from_numpy(episode.frames[first : first + 256]).to(work.device))
            with torch.inference_mode():
                painted = vision.decode(vision.encode(seen)[0])
            errors += (seen - painted).square().sum(dim=(1, 2, 3)).tolist()
            actual, again = (part.permute(0, 2, 3, 1).cpu().numpy() for part in (seen, painted))
            for frame, copy in zip(actual, again, strict=True):
                dark = float(np.median(frame[20:30, :, 1]))  # the wall
                for mask in spots(frame):
                    size = next(s for s in SIZES if s[0] <= mask.sum() <= s[1])
                    light, left = (float(picture[:, :, 1][mask].mean()) - dark for picture in (frame, copy))
                    found[size].append(left / light)
    print(
        f"{len(errors)} frames of {arguments.episodes} fresh random games; squared error {np.mean(errors):.2f} a frame"
    )
    print("| pixels | fireballs | contrast left, mean | seen |\n|---|---|---|---|")
    for (low, high), left in found.items():
        label = f"{low} to {high}" if high < 4096 else f"{low} and more"
        if left:
            print(f"| {label} | {len(left)} | {np.mean(left):.2f} | {np.mean(np.array(left) > 0.5):.0%} |")


def played(work: Work, seeds: range) -> Iterator[Episode]:
    """Random episodes, of which a batch is held in memory at a time."""
    with open_pool(work.spec) as pool:
        for batch in batches(seeds):
            yield from play(pool, HeldActions(work.spec), list(batch), work.spec.max_steps, 1)


if __name__ == "__main__":
    in_a_sentence(main)
