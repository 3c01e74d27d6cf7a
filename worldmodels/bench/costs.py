"""What each part costs at least, in closed form: operations and bytes.

Operations are those of matrix products and convolutions, forward and backward; a multiplication and an addition count
as two. Nonlinearities, the mixture, losses, Adam and random numbers are left out: beside the products they are few, and
what they cost is a matter of how often they go through memory. A gradient that nobody needs does not count: that of the
frames, and of M's inputs.

Bytes are those that have to be moved however the part is written: what comes in, what goes out, and the weights once a
call. What is computed on the way could stay in the caches and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

from worldmodels.controller.linear import ControllerConfig
from worldmodels.memory.mdn_rnn import MDNRNNConfig
from worldmodels.vision.vae import VAEConfig

FLOAT, LONG = 4, 8  # bytes
FRAME = 64 * 64 * 3  # bytes of a stored frame, and values in one
ADAM = 6 * FLOAT  # bytes of a parameter in a step: it and its two averages, read and written

# Of each layer of the paper's V: channels in and out, side of the kernel, side of the smaller of its two images.
CONVOLUTIONS = ((3, 32, 4, 31), (32, 64, 4, 14), (64, 128, 4, 6), (128, 256, 4, 2))
TRANSPOSED = ((1024, 128, 5, 1), (128, 64, 5, 5), (64, 32, 6, 13), (32, 3, 6, 30))
HIDDEN = 1024  # numbers between V's convolutions and its latents, in both directions


@dataclass(frozen=True)
class Cost:
    """Of one call."""

    operations: float
    bytes: float

    def __mul__(self, times: float) -> Cost:
        return Cost(self.operations * times, self.bytes * times)


def _image_products(layers: tuple[tuple[int, int, int, int], ...]) -> int:
    """The kernel meets each pixel of the image whose side is given once, in all pairs of channels."""
    return sum(2 * inputs * outputs * kernel**2 * side**2 for inputs, outputs, kernel, side in layers)


def _image_weights(layers: tuple[tuple[int, int, int, int], ...]) -> int:
    return sum(outputs * (inputs * kernel**2 + 1) for inputs, outputs, kernel, _ in layers)


def encoder_weights(config: VAEConfig) -> int:
    """Parameters of V's first half."""
    return _image_weights(CONVOLUTIONS) + 2 * (HIDDEN + 1) * config.latent_size


def decoder_weights(config: VAEConfig) -> int:
    """Parameters of V's second half."""
    return _image_weights(TRANSPOSED) + (config.latent_size + 1) * HIDDEN


def encode(config: VAEConfig, frames: int) -> Cost:
    """Stored frames to mu and logvar."""
    products = _image_products(CONVOLUTIONS) + 2 * 2 * HIDDEN * config.latent_size
    moved = FRAME + 2 * FLOAT * config.latent_size
    return Cost(frames * products, frames * moved + FLOAT * encoder_weights(config))


def decode(config: VAEConfig, frames: int) -> Cost:
    """Latents to frames as they are stored."""
    products = _image_products(TRANSPOSED) + 2 * HIDDEN * config.latent_size
    moved = FRAME + FLOAT * config.latent_size
    return Cost(frames * products, frames * moved + FLOAT * decoder_weights(config))


def vision_step(config: VAEConfig, frames: int) -> Cost:
    """One step of training on a batch: forward, and back to every weight and to every layer's input but the frame."""
    forward = encode(config, frames).operations + decode(config, frames).operations
    first = frames * _image_products(CONVOLUTIONS[:1])
    weights = encoder_weights(config) + decoder_weights(config)
    return Cost(3 * forward - first, frames * (FRAME + FLOAT * config.latent_size) + ADAM * weights)


def memory_weights(config: MDNRNNConfig) -> int:
    """Parameters of M that are trained."""
    units = config.hidden_size
    before = sum((inputs + 1) * outputs for inputs, outputs in config.layers)
    return before + (config.lstm_inputs + units + 1) * 4 * units + (units + 1) * config.output_size


def memory_step(config: MDNRNNConfig, sequences: int, ticks: int) -> Cost:
    """One step of training on a batch of sequences; the first tick counts as any other, although its memory is empty.

    Nothing has to go back to what comes in: mu, logvar, noise and actions.
    """
    units, layers = config.hidden_size, [2 * a * b for a, b in config.layers]
    embedded = config.lstm_inputs - config.input_size
    inputs, rest = (
        2 * config.input_size * 4 * units + sum(layers[:1]),
        2 * (units + embedded) * 4 * units + sum(layers[1:]) + 2 * units * config.output_size,
    )
    tokens = sequences * ticks
    # mu, logvar and noise; actions; reward, end and weight.
    read = FLOAT * (3 * config.latent_size + config.action_size + 3)
    return Cost(tokens * (2 * inputs + 3 * rest), tokens * read + ADAM * memory_weights(config))


def dream_tick(config: MDNRNNConfig, controller: ControllerConfig, dreams: int, population: int = 1) -> Cost:
    """One tick of so many dreams, and what C does in each of them."""
    size, units = config.latent_size, config.hidden_size
    gates = 2 * (config.lstm_inputs + units) * 4 * units + sum(2 * a * b for a, b in config.layers)
    heads = 2 * units * config.output_size
    inputs = controller.hidden or controller.feature_size  # of C's last layer
    acting = 2 * (controller.feature_size * controller.hidden + inputs * controller.action_size)
    # z, h and c, the disturbance, the tick and whether it has ended, read and written; the key; the reward. No lap.
    state = FLOAT * (size + 2 * units + config.action_size) + LONG + 1
    moved = dreams * (2 * state + LONG + FLOAT)
    weights = memory_weights(config) + population * controller.parameter_count
    return Cost(dreams * (gates + heads + acting), moved + FLOAT * weights)


def search_generation(parameters: int, population: int) -> Cost:
    """One generation of CMA-ES with all covariances, in double precision: draws, and what they teach the covariances.

    The decomposition of the covariances is left out: how often it has to be done is a matter of taste.
    """
    draws = 2 * population * parameters**2
    return Cost(2 * draws, 2 * 8 * parameters**2 + 8 * 3 * population * parameters)
