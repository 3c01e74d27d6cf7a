"""What could C do with what V and M show it? `python benchmarks/cloned.py pretrained:take-cover --hidden 64`

Not an agent: a yardstick. A C learns to step as the planner of `dodging.py` does that stays in the middle and knows of
every fireball that has been in the picture. The planner reads the game's own list of things; C sees z, c and h, as it
always does. In the first round the planner plays, afterwards C does, and the planner says at each tic what it would
have done (DAgger, Ross et al. 2011). Where such a C lives for long, V and M show what is needed and C can make use of
it; where it dies soon, a search in a dream will hardly find what could not be taught.

    python benchmarks/cloned.py pretrained:take-cover               the paper's C, one layer
    python benchmarks/cloned.py pretrained:take-cover --hidden 64

Prints for each round the tics survived with the standard error, and how often C would now step as the planner; in the
end what the last C, which is not played any more, earns in the run's dream, with either kind of end. A search that
finds more there and less in the game has found what M gets wrong.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dodging import (
    BUTTONS,
    HOMESICK,
    Known,
    best_way,
    in_a_group_of_its_own,
    moments,
    picture,
    plans,
    the_game,
)
from sentences import in_a_sentence
from tics import run_of_tics
from torch import Tensor, nn

from worldmodels.evaluation.score import mean_and_error
from worldmodels.pipeline.ending import dream_score
from worldmodels.pipeline.temperature import refuse_less_than_one
from worldmodels.pipeline.work import Parts
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.progress import progress
from worldmodels.worlds.actual import Senses

EVER = 2100.0  # tics for which the planner remembers a fireball: a whole episode
ENDS = ("cut-off", "drawn")
DREAMS = 256
STEPS, BATCH = 2000, 1024  # of C's training after each round
LEARNING_RATE = 1e-3


class Clone(nn.Module):
    """A C with one output, and a hidden layer or none: features (..., F) -> (...), in [-1, 1]; right is above 0."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.shift, self.scale = torch.zeros(features), torch.ones(features)
        inner = [nn.Linear(features, hidden), nn.Tanh()] if hidden else []
        self.layers = nn.Sequential(*inner, nn.Linear(hidden or features, 1), nn.Tanh())

    def forward(self, features: Tensor) -> Tensor:
        """What C does."""
        return self.layers((features - self.shift) / self.scale).squeeze(-1)

    def deployed(self, parts: Parts) -> Parts:
        """The run's V and M with this C, over features as they are."""
        first, *rest = (layer for layer in self.layers if isinstance(layer, nn.Linear))
        weights = first.weight.detach() / self.scale
        flat = [weights.flatten(), first.bias.detach() - weights @ self.shift]
        flat += [part.detach().flatten() for layer in rest for part in (layer.weight, layer.bias)]
        config = replace(parts.config, hidden=first.out_features if rest else 0, bias=True)
        return replace(parts, config=config, parameters=torch.cat(flat))

    def learn(self, features: Tensor, steps: Tensor, seed: int) -> float:
        """Fit to what the planner did, features (n, F) and steps (n,) in {-1, 0, 1}; share of steps that agree."""
        self.shift, self.scale = features.mean(0), features.std(0) + 1e-2
        generator = torch.Generator().manual_seed(seed)
        adam = torch.optim.AdamW(self.parameters(), LEARNING_RATE, weight_decay=1e-3)
        for step in range(STEPS):
            adam.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS)
            rows = torch.randint(len(features), (BATCH,), generator=generator)
            adam.zero_grad()
            (self(features[rows]) - steps[rows]).square().mean().backward()
            adam.step()
        with torch.no_grad():
            return float((third(self(features)) == steps).float().mean())


def third(action: Tensor) -> Tensor:
    """The step, -1 left, 0 or 1 right, that the game makes of an action."""
    return (action > 1 / 3).float() - (action < -1 / 3).float()


@torch.no_grad()
def play(game: Any, senses: Senses, seed: int, clone: Clone | None) -> tuple[np.ndarray, np.ndarray]:
    """An episode, of the planner's where there is no clone.

    Returns:
        What C saw (T, F), and how the planner would have stepped (T,), as `third`; both float32.
    """
    known, ways, last = Known(EVER), plans(), 0  # the planner's ways are the room's: to the left is up
    action, seen, told = torch.zeros(1, 1), [], []
    for state, player in moments(game, seed):
        frames = picture(state)
        features = (senses.go_on(action, frames) if seen else senses.begin(frames)).clone()
        way = best_way(player, known.of(state.objects, player, len(seen)), ways, last, HOMESICK)
        seen.append(features[0].numpy())
        told.append(-way)
        action = torch.tensor([[float(-way)]]) if clone is None else clone(features)[:, None]
        last = -int(third(action))
        game.make_action(BUTTONS[last])
    return np.stack(seen), np.array(told, np.float32)


def main() -> None:
    """Play, learn and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run folder of take-cover, or pretrained:NAME")
    parser.add_argument("--hidden", type=int, default=0, help="units of C's hidden layer (default: none)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--episodes", type=int, default=16, help="of a round")
    parser.add_argument("--seed", type=int, default=70_000_000, help="of the first episode")
    parser.add_argument("--save", type=Path, help="write the last C there, for `footwork.py --controller`")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    refuse_less_than_one(rounds=asked.rounds, episodes=asked.episodes)
    if asked.hidden < 0:
        parser.error(f"--hidden must be 0 (no hidden layer) or more, got {asked.hidden}")
    work = run_of_tics(asked.run)
    if asked.folder is None:
        sys.exit(in_a_group_of_its_own(__file__))
    parts = work.best()
    senses = Senses(parts.vision, parts.memory, "zch", torch.device("cpu"))
    torch.manual_seed(0)
    clone, seed = Clone(senses.feature_size, asked.hidden), asked.seed
    seen: list[np.ndarray] = []
    told: list[np.ndarray] = []
    print(
        f"seeds from {seed} on\n| round | plays | tics survived | episodes | agrees |\n|---|---|---|---|---|"
    )
    with the_game(asked.folder, shown=True) as game:
        for number in range(asked.rounds):
            lived = []
            with progress(f"round {number}", asked.episodes, "episodes") as bar:
                for episode in range(asked.episodes):
                    played = play(game, senses, seed + episode, clone if number else None)
                    seen.append(played[0])
                    told.append(played[1])
                    lived.append(len(played[1]))
                    bar.advance(mean=float(np.mean(lived)))
            seed += asked.episodes
            features, steps = (torch.from_numpy(np.concatenate(part)) for part in (seen, told))
            agrees = clone.learn(features, steps, number)
            score = mean_and_error(np.array(lived, np.float64))
            error = f" ± {score['standard_error']:.0f}" if len(lived) > 1 else ""
            who = "C" if number else "planner"
            row = (number, who, f"{score['mean']:.0f}{error}", len(lived), f"{agrees:.1%}")
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
    learnt = clone.deployed(parts)
    if asked.save is not None:
        save_checkpoint(
            asked.save.resolve(),
            kind="controller",
            config=asdict(learnt.config),
            weights={"parameters": learnt.parameters},
            progress={},
            made_from={"vision": work.vision(parts.round)[1], "memory": work.memory(parts.round)[1]},
        )
    for ends in ENDS:
        dream = replace(work.experiment.dream, ends=ends)
        dreaming = replace(work, experiment=replace(work.experiment, dream=dream))
        score = dream_score(dreaming, learnt, DREAMS, asked.seed, work.temperature(parts.round))
        print(f"its dream, ends {ends}: {score['mean']:.0f} ± {score['standard_error']:.0f}", flush=True)


if __name__ == "__main__":
    in_a_sentence(main)
