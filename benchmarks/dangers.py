"""What can C read of danger from V and M? `python benchmarks/dangers.py pretrained:take-cover [RUN ...]`

Plays Take Cover by the planner of `dodging.py` that stays in the middle and knows what has been in the picture, and
that holds a step at random now and then. Beside each picture stands what the game's own list of things says: whether
who from now on steps to the left, stays, or steps to the right will meet a fireball within 30 tics; one that is in the
picture now, or any. Networks are fitted to half of the games, on what each run's V and M make of them: one layer, which
is what the paper's C can read, and one with a hidden layer; a quarter says when they know most. Printed is how much of
the entropy of that danger they take away in the last quarter (100 %: all is known; 0 %: no more than how often).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from dodging import (
    BUTTONS,
    HOMESICK,
    Flight,
    Known,
    Player,
    best_way,
    distances,
    in_a_group_of_its_own,
    moments,
    paths,
    picture,
    plans,
    soonest,
    the_game,
)
from sentences import in_a_sentence
from tics import run_of_tics
from torch import Tensor, nn
from torch.nn import functional as F
from unmet_ends import of_round

from worldmodels.envs.take_cover import TAKE_COVER
from worldmodels.runs.progress import progress
from worldmodels.worlds.actual import Senses

SOON = 30  # tics
HOLDS = 60.0  # tics between two steps that are held, on average, in two games of three
STEPS, BATCH = 1500, 512  # of the networks' training
HIDDEN, DROPOUT = 128, 0.3
LEARNING_RATE = 1e-3
LOOK = 50  # steps between two looks at the games that choose


class Game(NamedTuple):
    """A game of T tics: what was seen and done, and what was dangerous."""

    frames: np.ndarray  # (T, 64, 64, 3) uint8
    actions: np.ndarray  # (T, 1) float32, -1 left to 1 right
    in_sight: (
        np.ndarray
    )  # (T, 3) bool: stepping to the right, staying, to the left meets a fireball of the picture
    of_all: np.ndarray  # (T, 3) bool, likewise of any


def main() -> None:
    """Play, fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="run folders of take-cover, or pretrained:NAME")
    parser.add_argument("--round", type=int, help="whose V and M (default: the last one that has an M)")
    parser.add_argument("--episodes", type=int, default=32)
    parser.add_argument("--seed", type=int, default=80_000_000, help="of the first episode")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.episodes < 4:
        parser.error(
            f"--episodes must be at least 4, for those that are fitted to and the others, got {asked.episodes}"
        )
    works = [run_of_tics(name) for name in asked.runs]
    if asked.folder is None:
        sys.exit(in_a_group_of_its_own(__file__))
    games: list[Game] = []
    with the_game(asked.folder, shown=True) as game, progress("play", asked.episodes, "games") as bar:
        for episode in range(asked.episodes):
            games.append(play(game, asked.seed + episode, steady=episode % 3 == 0))
            bar.advance()
    group = torch.cat([torch.full((len(g.frames),), i % 4) for i, g in enumerate(games)])
    dangers = [torch.from_numpy(np.concatenate(part)).float() for part in list(zip(*games, strict=True))[2:]]
    shares = " and ".join(f"{danger.mean():.1%}" for danger in dangers)
    print(f"{len(group):,} tics of {len(games)} games, seeds from {asked.seed} on; dangerous: {shares}")
    print("| run | from | read by | in the picture | all |\n|---|---|---|---|---|")
    for name, work in zip(asked.runs, works, strict=True):
        senses = Senses(*of_round(work, asked.round), "zch", torch.device("cpu"))
        seen = torch.cat([sensed(senses, game) for game in games])
        for part, features in (("z", seen[:, : senses.model.config.latent_size]), ("z, c, h", seen)):
            for hidden, by in ((0, "a layer"), (HIDDEN, "a hidden layer")):
                known = (f"{explained(features, danger, group, hidden):.0%}" for danger in dangers)
                print(f"| {name} | {part} | {by} | " + " | ".join(known) + " |", flush=True)


def play(game: Any, seed: int, steady: bool) -> Game:
    """A game; not `steady`, steps are held at random now and then."""
    chance = np.random.default_rng(seed)
    remembered, seen, every = Known(TAKE_COVER.max_steps), Known(0), Known(np.inf)
    ways, holds, last = plans(), 0, 0
    frames, actions, in_sight, of_all = [], [], [], []
    for tic, (state, player) in enumerate(moments(game, seed)):
        frames.append(picture(state)[0])
        in_sight.append(dangerous(player, seen.of(state.objects, player, tic), ways[:3]))
        of_all.append(dangerous(player, every.of(state.objects, player, tic), ways[:3]))
        known = remembered.of(state.objects, player, tic)
        holds -= 1
        if holds < 0:
            last = best_way(player, known, ways, last, HOMESICK)
            if not steady and chance.random() < 1 / HOLDS:
                holds, last = int(chance.integers(5, 40)), int(chance.integers(-1, 2))
        actions.append([-last])
        game.make_action(BUTTONS[last])
    return Game(np.stack(frames), np.array(actions, np.float32), np.stack(in_sight), np.stack(of_all))


def dangerous(player: Player, flight: Flight, ways: np.ndarray) -> np.ndarray:
    """Which ways (P,) meet one of these fireballs soon."""
    return soonest(*distances(paths(player, ways), player, flight)) < SOON


@torch.no_grad()
def sensed(senses: Senses, game: Game) -> Tensor:
    """What C sees at each tic of a game (T, F)."""
    seen = [senses.begin(game.frames[:1]).clone()]
    for frame, action in zip(game.frames[1:], game.actions, strict=False):
        seen.append(senses.go_on(torch.from_numpy(action)[None], frame[None]).clone())
    return torch.cat(seen)


def explained(features: Tensor, danger: Tensor, group: Tensor, hidden: int) -> float:
    """Share of the entropy of danger (N, 3) that a network takes away in games that it has not learnt from.

    By `group` (N,): it learns from 0 and 1, group 2 says when it knew most, and group 3 is what is asked.
    """
    fitted, chosen, asked = group < 2, group == 2, group == 3
    features = (features - features[fitted].mean(0)) / (features[fitted].std(0) + 1e-3)
    torch.manual_seed(0)
    inner = [nn.Linear(features.shape[1], hidden), nn.ReLU(), nn.Dropout(DROPOUT)] if hidden else []
    last = nn.Linear(hidden or features.shape[1], danger.shape[1])
    nn.init.zeros_(last.weight)  # it begins by knowing how often, and no more
    last.bias.data = danger[fitted].mean(0).clamp(1e-3, 1 - 1e-3).logit()
    network = nn.Sequential(nn.Dropout(DROPOUT), *inner, last)
    adam = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-2)
    rows = fitted.nonzero().squeeze(1)
    least, found = float("inf"), float("inf")
    for step in range(STEPS):
        adam.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
        some = rows[torch.randint(len(rows), (BATCH,))]
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(network(features[some]), danger[some]).backward()
        adam.step()
        if (step + 1) % LOOK == 0:
            network.eval()
            with torch.no_grad():
                nats, there = (
                    float(F.binary_cross_entropy_with_logits(network(features[rows]), danger[rows]))
                    for rows in (chosen, asked)
                )
            network.train()
            if nats < least:
                least, found = nats, there
    rate = danger[asked].mean(0)
    return 1 - found / float(F.binary_cross_entropy(rate.expand_as(danger[asked]), danger[asked]))


if __name__ == "__main__":
    in_a_sentence(main)
