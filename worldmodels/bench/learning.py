"""V and M measured: training by the functions that `worldmodels train` calls, encoding, decoding."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from worldmodels.bench import costs
from worldmodels.bench.clock import NO_HURRY, TrainingClock, training_ground
from worldmodels.bench.conditions import Conditions, expected_floor, floor_of, patient, rated
from worldmodels.bench.measurement import Measurement
from worldmodels.bench.plain import PlainMemory, PlainVision, pixels_to_stored, stored_to_pixels
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.sequences import SequenceBatches
from worldmodels.memory.train import MemoryTraining, train_memory
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.latents import LatentEpisode
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.optimise import AdamConfig, autocast
from worldmodels.vision.encode import BATCH, encode_frames
from worldmodels.vision.train import train_vision
from worldmodels.vision.vae import VAE, frames

EPISODES, LENGTH = 10, 99  # of synthetic frames that V learns from


def precision_of(training: AdamConfig, device: torch.device) -> str:
    """ "bf16" or "f32": what the products of a training are computed in here."""
    nothing = isinstance(autocast(device, training.precision), nullcontext)
    return "f32" if nothing else "bf16"


def _convolving(device: torch.device) -> str:
    """What convolutions are computed in where nobody asks for mixed precision."""
    return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "f32"


def measure_learning(
    conditions: Conditions, wanted: Collection[str], on_done: Callable[[str], None]
) -> list[Measurement]:
    """Those of vision_train, vision_encode, vision_decode and memory_train that are wanted."""
    measures = {
        "vision_train": vision_training,
        "vision_encode": encoding,
        "vision_decode": decoding,
        "memory_train": memory_training,
    }
    found = []
    for name, measure in measures.items():
        if name in wanted:
            found.append(measure(conditions))
            on_done(name)
    return found


def synthetic_frames(count: int, seed: int = 0) -> np.ndarray:
    """(count, 64, 64, 3) uint8: noise, which costs V as much as any game."""
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), np.uint8)


def vision_training(conditions: Conditions) -> Measurement:
    """Steps of `train_vision`, with everything that belongs to a step: drawing the batch, Adam, the log."""
    config, training, device = conditions.experiment.vae, conditions.experiment.vision, conditions.device
    clock, size = TrainingClock(conditions.budget, device), training.batch_size
    shown = synthetic_frames(EPISODES * (LENGTH + 1))
    with training_ground() as run:
        store = EpisodeStore(run.rollouts(0))
        for i, part in enumerate(np.split(shown, EPISODES)):
            actions, rewards = np.zeros((LENGTH, 3), np.float32), np.zeros(LENGTH, np.float32)
            store.write(i, Episode(part, actions, rewards, False, "noise", i, 1, LENGTH))
        train_vision(
            run, config, clock.listen(training), [store],
            round=0, seed=0, device=device, made_from={}, save_every=NO_HURRY,
        )  # fmt: skip
    timing = clock.timing()
    plain = PlainVision.like(VAE(config)).to(device)
    adam = torch.optim.Adam(plain.parameters(), lr=training.learning_rate, foreach=False, fused=False)
    everything = torch.from_numpy(shown)

    def step() -> None:
        batch = everything[torch.randint(len(everything), (size,))].to(device)
        adam.zero_grad()
        plain.loss(stored_to_pixels(batch), torch.randn(size, config.latent_size, device=device)).backward()
        adam.step()

    beside = conditions.timed(step, patient(conditions.budget, timing.median))
    floor = floor_of(conditions, costs.vision_step(config, size), precision_of(training, device))
    return rated("vision_train", "frames", size, timing, plain=(size, beside), floor=floor)


def encoding(conditions: Conditions) -> Measurement:
    """Stored frames to mu and logvar."""
    config, device = conditions.experiment.vae, conditions.device
    model = VAE(config).to(device).eval()
    plain, shown = PlainVision.like(model), synthetic_frames(BATCH)
    timing = conditions.timed(lambda: encode_frames(model, shown, device))

    @torch.no_grad()
    def encode() -> list[np.ndarray]:
        pixels = stored_to_pixels(torch.from_numpy(shown).to(device))
        return [part.cpu().numpy() for part in plain.encode(pixels)]

    floor = floor_of(conditions, costs.encode(config, BATCH), _convolving(device))
    return rated(
        "vision_encode", "frames", BATCH, timing, plain=(BATCH, conditions.timed(encode)), floor=floor
    )


def decoding(conditions: Conditions) -> Measurement:
    """Latents to frames as they are stored and shown."""
    config, device = conditions.experiment.vae, conditions.device
    model = VAE(config).to(device).eval()
    plain, z = PlainVision.like(model), torch.randn(BATCH, config.latent_size, device=device)
    with torch.inference_mode():
        timing = conditions.timed(lambda: frames(model.decode(z)))
    with torch.no_grad():
        beside = conditions.timed(lambda: pixels_to_stored(plain.decode(z)))
    floor = floor_of(conditions, costs.decode(config, BATCH), _convolving(device))
    return rated("vision_decode", "frames", BATCH, timing, plain=(BATCH, beside), floor=floor)


def ticks_within(conditions: Conditions) -> int:
    """Ticks of M's sequences for which a step of training should not take longer than half of the budget.

    At most those of the preset; the floor is taken for a fifth of the time.
    """
    config, training = conditions.experiment.mdn_rnn, conditions.experiment.memory
    one = costs.memory_step(config, training.batch_size, 1)
    weights = costs.memory_step(config, training.batch_size, 0)  # which do not grow with the ticks
    tick = costs.Cost(one.operations, one.bytes - weights.bytes)
    least = expected_floor(conditions, tick, precision_of(training, conditions.device))
    return max(32, min(training.sequence_length, int(conditions.budget.seconds / 10 / least)))


def memory_training(conditions: Conditions) -> Measurement:
    """Steps of `train_memory`, with everything that belongs to a step."""
    experiment, device = conditions.experiment, conditions.device
    config, ticks = experiment.mdn_rnn, ticks_within(conditions)
    training = replace(experiment.memory, sequence_length=ticks)
    clock, tokens = TrainingClock(conditions.budget, device), training.batch_size * ticks
    episodes = synthetic_latents(config.latent_size, config.action_size, ticks)
    with training_ground() as run:
        train_memory(
            run, config, clock.listen(training), episodes,
            round=0, seed=0, device=device, made_from={}, save_every=NO_HURRY,
        )  # fmt: skip
    timing = clock.timing()
    step = plain_memory_step(PlainMemory.like(MDNRNN(config)).to(device), training, episodes, device)
    beside = conditions.timed(step, patient(conditions.budget, timing.median))
    cost = costs.memory_step(config, training.batch_size, ticks)
    cut = ticks < experiment.memory.sequence_length
    note = (
        f"{ticks} ticks a sequence and not {experiment.memory.sequence_length}, for want of time"
        if cut
        else ""
    )
    return rated(
        "memory_train", "tokens", tokens, timing, plain=(tokens, beside),
        floor=floor_of(conditions, cost, precision_of(training, device)), note=note,
    )  # fmt: skip


def synthetic_latents(latent: int, action: int, ticks: int, count: int = 100) -> list[LatentEpisode]:
    """Episodes of noise as M learns from."""
    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    return [
        LatentEpisode(
            normal(ticks + 1, latent), normal(ticks + 1, latent) - 2, np.tanh(normal(ticks, action)),
            normal(ticks), True,
        )
        for _ in range(count)
    ]  # fmt: skip


def plain_memory_step(
    model: PlainMemory, training: MemoryTraining, episodes: list[LatentEpisode], device: torch.device
) -> Callable[[], None]:
    """One step of training M as one would write it first."""
    batches = SequenceBatches(episodes, training.batch_size, training.sequence_length, 0)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(trained, lr=training.learning_rate, foreach=False, fused=False)

    def step() -> None:
        batch = batches.batch(0)
        batch = type(batch)(*(part.to(device) for part in batch))
        adam.zero_grad()
        model.loss(batch, torch.randn_like(batch.mu), training).backward()
        for parameter in trained:
            if training.clip is not None and parameter.grad is not None:
                parameter.grad.clamp_(-training.clip, training.clip)
        adam.step()

    return step
