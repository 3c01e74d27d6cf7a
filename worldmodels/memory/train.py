"""Train M on stored latents: z is drawn afresh from V's posterior for each batch, as in the authors' code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from worldmodels.errors import UserError
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig, Recurrent
from worldmodels.memory.resident import ResidentLatents, size_of
from worldmodels.memory.sequences import Batch, SequenceBatches, StreamBatches
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.feeding import fed, fits_on_gpu, noisy
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.optimise import AdamConfig, autocast, optimise
from worldmodels.runs.seeds import stream
from worldmodels.runs.settings import from_json


@dataclass(frozen=True)
class MemoryTraining(AdamConfig):
    """How M learns. The defaults are the paper's for CarRacing."""

    steps: int = 4000  # in a run `rounds.memory_steps`, round by round
    batch_size: int = 100  # sequences
    learning_rate: float = 1e-3  # at the first step
    final_learning_rate: float = 1e-5  # at the last one
    clip: float | None = 1.0  # each gradient element is clipped to [-clip, clip]
    sequence_length: int = 999  # ticks; longer episodes are cut at random, see `SequenceBatches`
    carry: bool = False  # ... or followed from cut to cut with M's memory carried on, see `StreamBatches`
    reward_weight: float = 1.0  # of the squared error of the scaled reward
    reward_clip: float = 10.0  # to +-this, since the -100 for leaving the field would drown the rest
    end_weight: float = 1.0  # of the cross-entropy of the end
    end_positive_weight: float = 10.0  # ends are rare
    ahead_weight: float = 1.0  # of the cross-entropy of each of `mdn_rnn.ends_ahead`
    latents_weight: float = 1.0  # of the surprise of each of `mdn_rnn.latents_ahead`
    posterior: float = 1.0  # share of V's standard deviation with which latents are drawn; 0: the mean
    dropout: float = 0.0  # share of M's units that its heads do not see at a tick; in dreams `dream.dropout`

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.posterior <= 1:
            raise ValueError(f"memory.posterior must lie in [0, 1], got {self.posterior}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"memory.dropout must lie in [0, 1), got {self.dropout}")
        if self.sequence_length < 1:
            raise ValueError(f"memory.sequence_length must be at least 1, got {self.sequence_length}")
        for name in ("reward_clip", "end_positive_weight"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"memory.{name} must be above 0, got {getattr(self, name)}")
        for name in ("reward_weight", "end_weight", "ahead_weight", "latents_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"memory.{name} must not be negative, got {getattr(self, name)}")


def memory_loss(
    model: MDNRNN, batch: Batch, noise: Tensor, training: MemoryTraining, memory: Recurrent | None = None
) -> tuple[dict[str, Tensor], Recurrent]:
    """M's loss on a batch, for standard normal noise (B, T + 1, Z or more): scalars by name; and M's memory behind it.

    "nll" is the paper's: mean negative log-likelihood of the next latent, per latent dimension, in nats. An
    ended episode's last frame is as real as the others, so its latent counts too. "reward" is the mean
    squared error in units of the reward scale, "end" the cross-entropy in nats, "ahead" the sum of those of
    `ends_ahead`, "foresight" the sum of the surprises of `latents_ahead`, "loss" the weighted sum that is
    minimised. `memory` is that before the first tick; None is empty. With dropout the noise is
    (B, T + 1, Z + N), of whose last N those of the first T ticks say which units the heads see.
    """
    size = model.config.latent_size
    z = batch.mu + training.posterior * torch.exp(0.5 * batch.logvar) * noise[..., :size]  # (B, T + 1, Z)
    hidden, memory = model.follow(z[:, :-1], batch.actions, memory)
    if training.dropout > 0:
        kept = noise[:, :-1, size:] > NormalDist().inv_cdf(training.dropout)
        hidden = hidden * kept / (1 - training.dropout)
    prediction = model.predict(hidden)

    def mean(values: Tensor, weight: Tensor = batch.weight) -> Tensor:
        return (values * weight).sum() / weight.sum().clamp(min=1)

    nll = -mean(prediction.mixture.log_prob(z[:, 1:]).mean(dim=-1))
    parts = {"loss": nll, "nll": nll.detach()}
    if prediction.reward is not None:
        target = batch.rewards.clamp(-training.reward_clip, training.reward_clip)
        error = mean(((prediction.reward - target) / model.config.reward_scale).square())
        parts["loss"] = parts["loss"] + training.reward_weight * error
        parts["reward"] = error.detach()
    if prediction.end_logit is not None:
        positive = torch.full((), training.end_positive_weight, device=batch.weight.device)
        error = mean(
            F.binary_cross_entropy_with_logits(
                prediction.end_logit, batch.ended, reduction="none", pos_weight=positive
            )
        )
        parts["loss"] = parts["loss"] + training.end_weight * error
        parts["end"] = error.detach()
    if prediction.ahead_logits is not None:
        within = batch.left.unsqueeze(-1) < batch.left.new_tensor(model.config.ends_ahead)  # (B, T, K)
        entropy = F.binary_cross_entropy_with_logits(
            prediction.ahead_logits, within.to(batch.weight.dtype), reduction="none"
        )
        error = mean(entropy.sum(dim=-1))
        parts["loss"] = parts["loss"] + training.ahead_weight * error
        parts["ahead"] = error.detach()
    if foretold := model.foresee(hidden, batch.actions):
        error = batch.weight.new_zeros(())
        for ahead, foreseen in foretold:
            error = error + mean(foreseen.surprise(z[:, ahead:]), batch.weight[:, ahead - 1 :])
        parts["loss"] = parts["loss"] + training.latents_weight * error
        parts["foresight"] = error.detach()
    return parts, memory


def learns_in_bf16(device: torch.device) -> bool:
    """Whether an LSTM can be trained in mixed precision here: on a CPU oneDNN needs AVX-512 for it, or the like."""
    if device.type != "cpu":
        return True
    try:
        with torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


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
    Raises:
        UserError: when it is to be trained in bf16 and this processor cannot.
    """
    if training.precision == "bf16" and not learns_in_bf16(device):
        raise UserError(
            "this processor cannot train an LSTM in bf16: give --memory.precision f32, or leave it out"
        )
    seed = stream(seed, "dreamer", dreamer) if dreamer else seed
    torch.manual_seed(stream(seed, "memory", round, "weights"))
    model = MDNRNN(config)
    if start is not None:
        model.begin_at(start)
    model.to(device)
    model.lstm.flatten_parameters()  # side by side, as cuDNN wants them, before anything holds on to their places
    draw = stream(seed, "memory", round, "batches")
    batches = (StreamBatches if training.carry else SequenceBatches)(
        episodes, training.batch_size, training.sequence_length, draw
    )
    resident = ResidentLatents(episodes, device) if fits_on_gpu(size_of(episodes), device) else None
    carried = model.initial(training.batch_size)

    def sequences(step: int) -> list[Tensor]:
        made = resident.cut_out(batches.cuts(step), batches.ticks) if resident else batches.batch(step)
        return [*made, batches.goes_on(step)]

    def losses(*data: Tensor) -> dict[str, Tensor]:
        *parts, goes_on, noise = data
        before = Recurrent(*(part * goes_on.unsqueeze(1) for part in carried))
        with autocast(device, training.precision):
            loss, after = memory_loss(model, Batch(*parts), noise, training, before)
        for mine, new in zip(carried, after, strict=True):
            mine.copy_(torch.nan_to_num(new.detach()))  # a step that diverged must not be remembered
        return loss

    numbers = config.latent_size + (config.hidden_size if training.dropout > 0 else 0)
    noise = (training.batch_size, batches.ticks + 1, numbers)
    ahead = device.type == "cuda" and resident is None
    with fed(sequences, device, training.steps, ahead=ahead) as sequences_of:
        return optimise(
            model,
            noisy(sequences_of, noise, device, seed, "memory", round, "noise"),
            losses,
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
    return read_memory(run.memory(round, dreamer), vision, device)


def read_memory(path: Path, vision: str | None, device: torch.device | str = "cpu") -> tuple[MDNRNN, str]:
    """M at a path, likewise."""
    made_from = None if vision is None else {"vision": vision}
    checkpoint = load_checkpoint(path, kind="memory", made_from=made_from)
    model = MDNRNN(from_json(MDNRNNConfig, checkpoint.config))
    model.load_state_dict(checkpoint.weights)
    return model.to(device).eval(), checkpoint.sha256
