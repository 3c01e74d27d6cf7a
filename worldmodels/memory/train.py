"""Train M on stored latents: z is drawn afresh from V's posterior for each batch, as in the authors' code."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.optimise import AdamConfig, autocast, optimise
from worldmodels.runs.seeds import numpy_stream, stream, torch_stream


@dataclass(frozen=True)
class MemoryTraining(AdamConfig):
    """How M learns. The defaults are the paper's for CarRacing."""

    steps: int = 4000
    batch_size: int = 100  # sequences
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    clip: float | None = 1.0
    sequence_length: int = 999  # ticks; longer episodes are cut at random, see `SequenceBatches`
    carry: bool = False  # ... or followed from cut to cut with M's memory carried on, see `StreamBatches`
    reward_weight: float = 1.0  # of the squared error of the scaled reward
    reward_clip: float = 10.0  # to +-this, since the -100 for leaving the field would drown the rest
    end_weight: float = 1.0  # of the cross-entropy of the end
    end_positive_weight: float = 10.0  # ends are rare
    posterior: float = 1.0  # share of V's standard deviation with which latents are drawn; 0: the mean

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.posterior <= 1:
            raise ValueError(f"memory.posterior must lie in [0, 1], got {self.posterior}")


class Batch(NamedTuple):
    """Sequences cut to one length; `weight` is 0 behind the end of the shorter ones."""

    mu: Tensor  # (B, T + 1, Z)
    logvar: Tensor  # (B, T + 1, Z)
    actions: Tensor  # (B, T, A)
    rewards: Tensor  # (B, T)
    ended: Tensor  # (B, T), 1 where the action ended the game
    weight: Tensor  # (B, T)


class SequenceBatches:
    """Batches of sequences from episodes drawn at random with replacement, in proportion to their length.

    An episode no longer than `sequence_length` is taken whole. A longer one is cut at a random place, with an
    empty memory where the cut begins; one cut in several begins where the episode does.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], training: MemoryTraining, seed: int) -> None:
        if not episodes:
            raise ValueError("no episodes to learn from")
        self.episodes, self.training, self.seed = episodes, training, seed
        lengths = np.array([episode.length for episode in episodes], np.float64)
        self._chances = lengths / lengths.sum()

    def batch(self, step: int) -> Batch:
        """The batch of a training step."""
        rng, longest = numpy_stream(self.seed, "sequences", step), self.training.sequence_length
        parts = []
        for i in rng.choice(len(self.episodes), size=self.training.batch_size, p=self._chances):
            spare = self.episodes[i].length - longest
            # Cuts that would begin before the episode begin with it: its opening is seen often enough.
            first = max(0, int(rng.integers(-longest // 2, spare + 1))) if spare > 0 else 0
            parts.append(self.episodes[i].part(first, longest))
        return pad(parts)

    def goes_on(self, step: int) -> Tensor:
        """(B,) 1 where a row goes on with the episode of the step before, which is nowhere."""
        return torch.zeros(self.training.batch_size)


class StreamBatches:
    """Batches of which each row follows one episode after the other, cut into windows of `sequence_length` ticks.

    Episodes are drawn at random with replacement. A window goes on where the row's window of the step before has
    ended, so that M's memory can be carried on; the last one of an episode is padded.
    """

    def __init__(self, episodes: Sequence[LatentEpisode], training: MemoryTraining, seed: int) -> None:
        if not episodes:
            raise ValueError("no episodes to learn from")
        self.episodes, self.training = episodes, training
        rows = training.batch_size
        self._streams = [numpy_stream(seed, "streams", row) for row in range(rows)]
        self._begins: list[list[int]] = [[0] for _ in range(rows)]  # steps at which a row's episodes begin
        self._drawn: list[list[int]] = [[] for _ in range(rows)]  # which they are

    def batch(self, step: int) -> Batch:
        """The batch of a training step."""
        parts, length = [], self.training.sequence_length
        for row in range(self.training.batch_size):
            which, begin = self._episode(row, step)
            parts.append(self.episodes[which].part((step - begin) * length, length))
        return pad(parts)

    def goes_on(self, step: int) -> Tensor:
        """(B,) 1 where a row goes on with the episode of the step before, 0 where it begins one."""
        begins = [self._episode(row, step)[1] for row in range(self.training.batch_size)]
        return torch.tensor([float(step > begin) for begin in begins])

    def _episode(self, row: int, step: int) -> tuple[int, int]:
        """The episode that a row follows at a step, and the step at which it began it."""
        begins, drawn = self._begins[row], self._drawn[row]
        while begins[-1] <= step:
            drawn.append(int(self._streams[row].integers(len(self.episodes))))
            windows = -(-self.episodes[drawn[-1]].length // self.training.sequence_length)
            begins.append(begins[-1] + windows)
        at = bisect_right(begins, step) - 1
        return drawn[at], begins[at]


def pad(episodes: Sequence[LatentEpisode]) -> Batch:
    """Episodes side by side, zeros behind the end of the shorter."""
    lengths = [episode.length for episode in episodes]
    rows, ticks = len(episodes), max(lengths)
    latent, action = episodes[0].mu.shape[1], episodes[0].actions.shape[1]
    mu = np.zeros((rows, ticks + 1, latent), np.float32)
    logvar = np.zeros_like(mu)
    actions = np.zeros((rows, ticks, action), np.float32)
    rewards, ended, weight = (np.zeros((rows, ticks), np.float32) for _ in range(3))
    for row, (episode, length) in enumerate(zip(episodes, lengths, strict=True)):
        mu[row, : length + 1] = episode.mu
        logvar[row, : length + 1] = episode.logvar
        actions[row, :length] = episode.actions
        rewards[row, :length] = episode.rewards
        weight[row, :length] = 1
        ended[row, length - 1] = episode.terminated
    return Batch(*(torch.from_numpy(a) for a in (mu, logvar, actions, rewards, ended, weight)))


def memory_loss(
    model: MDNRNN, batch: Batch, noise: Tensor, training: MemoryTraining, memory: Recurrent | None = None
) -> tuple[dict[str, Tensor], Recurrent]:
    """M's loss on a batch, for standard normal noise (B, T + 1, Z): scalars by name; and M's memory behind it.

    "nll" is the paper's: mean negative log-likelihood of the next latent, per latent dimension, in nats. An
    ended episode's last frame is as real as the others, so its latent counts too. "reward" is the mean
    squared error in units of the reward scale, "end" the cross-entropy in nats, "loss" the weighted sum that
    is minimised. `memory` is that before the first tick; None is empty.
    """
    z = batch.mu + training.posterior * torch.exp(0.5 * batch.logvar) * noise  # (B, T + 1, Z)
    hidden, memory = model.follow(z[:, :-1], batch.actions, memory)
    prediction = model.predict(hidden)
    total = batch.weight.sum()

    def mean(values: Tensor) -> Tensor:
        return (values * batch.weight).sum() / total

    nll = -mean(prediction.mixture.log_prob(z[:, 1:]).mean(dim=-1))
    parts = {"loss": nll, "nll": nll.detach()}
    if prediction.reward is not None:
        target = batch.rewards.clamp(-training.reward_clip, training.reward_clip)
        error = mean(((prediction.reward - target) / model.config.reward_scale).square())
        parts["loss"] = parts["loss"] + training.reward_weight * error
        parts["reward"] = error.detach()
    if prediction.end_logit is not None:
        positive = torch.full((), training.end_positive_weight, device=total.device)
        error = mean(
            F.binary_cross_entropy_with_logits(
                prediction.end_logit, batch.ended, reduction="none", pos_weight=positive
            )
        )
        parts["loss"] = parts["loss"] + training.end_weight * error
        parts["end"] = error.detach()
    return parts, memory


def train_memory(
    run: RunFolder,
    config: MDNRNNConfig,
    training: MemoryTraining,
    episodes: Sequence[LatentEpisode],
    *,
    round: int,
    seed: int,
    device: torch.device,
    made_from: Mapping[str, str],
    start: MDNRNN | None = None,
    save_every: float = 20.0,
    dreamer: int = 0,
) -> str:
    """Train M on `episodes` and save it as the M of `round`; returns its sha256.

    Args:
        start: weights to go on from (those of the round before); None begins at random.
        save_every: seconds between two checkpoints of an unfinished training.
        dreamer: counts the Ms of one round; each has random numbers of its own.
    """
    seed = stream(seed, "dreamer", dreamer) if dreamer else seed
    torch.manual_seed(stream(seed, "memory", round, "weights"))
    model = MDNRNN(config)
    if start is not None:
        model.load_state_dict(start.state_dict())
    model.to(device)
    draw = stream(seed, "memory", round, "batches")
    batches = (StreamBatches if training.carry else SequenceBatches)(episodes, training, draw)
    carried = model.initial(training.batch_size)

    def batch_loss(step: int) -> dict[str, Tensor]:
        batch, goes_on = batches.batch(step), batches.goes_on(step).to(device).unsqueeze(1)  # (B, 1)
        before = Recurrent(*(part * goes_on for part in carried))
        noise = torch.randn(batch.mu.shape, generator=torch_stream(seed, "memory", round, "noise", step))
        with autocast(device, training.precision):
            batch = Batch(*(part.to(device) for part in batch))
            loss, after = memory_loss(model, batch, noise.to(device), training, before)
        for mine, new in zip(carried, after, strict=True):
            mine.copy_(torch.nan_to_num(new.detach()))  # a step that diverged must not be remembered
        return loss

    return optimise(
        model,
        batch_loss,
        training,
        run=run,
        path=run.memory(round, dreamer),
        kind="memory",
        model_config=asdict(config),
        made_from=made_from,
        log_name=f"memory-{round:02d}" + (f"-dreamer-{dreamer}" if dreamer else ""),
        save_every=save_every,
        carried=carried._asdict(),
    )


def load_memory(
    run: RunFolder,
    round: int,
    vision: str | None = None,
    device: torch.device | str = "cpu",
    dreamer: int = 0,
) -> tuple[MDNRNN, str]:
    """M of a round (or another `dreamer` of it) and its sha256, ready to dream.

    Raises UserError when it was not trained on the latents of the V with hash `vision`; None does not ask.
    """
    made_from = None if vision is None else {"vision": vision}
    checkpoint = load_checkpoint(run.memory(round, dreamer), kind="memory", made_from=made_from)
    model = MDNRNN(MDNRNNConfig(**checkpoint.config))
    model.load_state_dict(checkpoint.weights)
    return model.to(device).eval(), checkpoint.sha256
