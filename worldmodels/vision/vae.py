"""V: the convolutional variational autoencoder of the paper.

Paper: "VAE (V) Model" and "Appendix: Variational Autoencoder".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class VAEConfig:
    """Shape of V and of its loss. The defaults are the paper's for CarRacing."""

    latent_size: int = 32  # Z: 32 for CarRacing, 64 for Take Cover
    free_nats: float = 0.5  # per latent dimension: the KL of a frame costs nothing below free_nats * Z

    def __post_init__(self) -> None:
        if self.latent_size < 1:
            raise ValueError(f"vae.latent_size must be at least 1, got {self.latent_size}")
        if self.free_nats < 0:
            raise ValueError(f"vae.free_nats must not be negative, got {self.free_nats}")


class VAELoss(NamedTuple):
    """Means over the batch, in the paper's units; `total` is what is minimised."""

    total: Tensor
    reconstruction: Tensor  # sum of squared pixel errors of a frame with values in [0, 1]
    kl: Tensor  # nats a frame, before the free bits


class VAE(nn.Module):
    """Frames to latents and back: four strided convolutions in, four transposed convolutions out.

    Frames inside the network are float (B, 3, 64, 64) in [0, 1]; `pixels` makes them from stored frames.
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, stride=2),  # 64 -> 31
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 4, stride=2),  # -> 14
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, 4, stride=2),  # -> 6
            nn.ReLU(inplace=True),
            nn.Conv2d(128, 256, 4, stride=2),  # -> 2
            nn.ReLU(inplace=True),
        )
        self.mu = nn.Linear(2 * 2 * 256, config.latent_size)
        self.logvar = nn.Linear(2 * 2 * 256, config.latent_size)
        self.expand = nn.Linear(config.latent_size, 1024)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(1024, 128, 5, stride=2),  # 1 -> 5
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(128, 64, 5, stride=2),  # -> 13
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 32, 6, stride=2),  # -> 30
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, 3, 6, stride=2),  # -> 64
            nn.Sigmoid(),
        )
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        # All but this weight, which `decode` takes as a matrix: 13 MB that would be copied for every batch.
        first = cast("nn.ConvTranspose2d", self.decoder[0])
        first.weight.data = first.weight.data.contiguous()

    def encode(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """The posterior of each frame: pixels (B, 3, 64, 64) -> mu (B, Z), logvar (B, Z) = log sigma^2."""
        hidden = pixels
        for place in (0, 2, 4):
            hidden = _convolve_relu(hidden, cast("nn.Conv2d", self.encoder[place]))
        hidden = _convolve_four_places(hidden, cast("nn.Conv2d", self.encoder[6]))  # (B, 256, 2, 2)
        hidden = self.encoder[7](hidden).flatten(1)  # (B, 1024)
        return self.mu(hidden), self.logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, Z) -> pixels (B, 3, 64, 64) in (0, 1)."""
        hidden = self.expand(z)  # (B, 1024)
        # From a single pixel a transposed convolution is a plain product, and 3 to 7 times faster as one.
        first = cast("nn.ConvTranspose2d", self.decoder[0])
        weight = first.weight.flatten(1)  # (1024, 128 * 5 * 5)
        hidden = (hidden @ weight).unflatten(1, first.weight.shape[1:])  # (B, 128, 5, 5)
        bias = cast("Tensor", first.bias)[:, None, None]
        hidden = (hidden + bias).contiguous(memory_format=torch.channels_last)
        hidden = self.decoder[1:6](hidden)  # (B, 32, 30, 30)
        return self.decoder[7](_convolve_phases(hidden, cast("nn.ConvTranspose2d", self.decoder[6])))

    def loss(self, pixels: Tensor, noise: Tensor, weight: Tensor | None = None) -> VAELoss:
        """Squared error + KL with free bits, for pixels (B, 3, 64, 64) and standard normal noise (B, Z).

        weight: (B, 1, 64, 64) of each pixel's squared error in `total`; None is 1, as in the paper.
        """
        mu, logvar = self.encode(pixels)
        decoded = self.decode(sample_latent(mu, logvar, noise))
        reconstruction = F.mse_loss(decoded, pixels, reduction="sum") / len(pixels)
        kl = kl_to_prior(mu, logvar)  # (B,)
        floor = self.config.free_nats * self.config.latent_size
        error = reconstruction
        if weight is not None:
            error = ((decoded - pixels).square() * weight).sum() / len(pixels)
        return VAELoss(error + kl.clamp_min(floor).mean(), reconstruction, kl.mean())


def _convolve_relu(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """A convolution of stride 2 and its ReLU: in one pass through memory where a CPU only looks.

    That pass is oneDNN's, by the operation that PyTorch's own compiler calls for it; the ReLU apart costs an eighth of
    the encoder. Whoever learns, exports or computes in mixed precision gets the two as they are.
    """
    fused = getattr(torch.ops.mkldnn, "_convolution_pointwise", None)
    learns = torch.is_grad_enabled() or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu")
    if fused is None or learns or x.device.type != "cpu" or x.dtype != torch.float32:
        return F.relu_(layer(x))
    return fused(x, layer.weight, layer.bias, [0, 0], [2, 2], [1, 1], 1, "relu", [], "")


def _convolve_four_places(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """A 4x4 convolution of stride 2 on 6x6 pixels as one product, which is about twice as fast.

    (B, C, 6, 6) -> (B, O, 2, 2)
    """
    # Nothing is copied until it is flattened.
    places = x.permute(0, 2, 3, 1).unfold(1, 4, 2).unfold(2, 4, 2)  # (B, 2, 2, C, 4, 4)
    patches = places.permute(0, 1, 2, 4, 5, 3).flatten(3).flatten(0, 2)  # (4 B, 16 C)
    weight = layer.weight.permute(0, 2, 3, 1).flatten(1)  # (O, 16 C), as it lies in memory
    return F.linear(patches, weight, layer.bias).unflatten(0, (-1, 2, 2)).permute(0, 3, 1, 2)


def _convolve_phases(x: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
    """A transposed 6x6 convolution of stride 2 to few channels, as a plain 3x3 one: nearly three times as fast.

    Each of the four phases of the larger image (even and odd rows, even and odd columns) is a 3x3 convolution of the
    smaller one with every other row and column of the kernel. Together they are one convolution to 4 O channels.

    (B, C, H, W) -> (B, O, 2 H + 4, 2 W + 4)
    """
    channels, outputs = layer.weight.shape[:2]
    kernels = layer.weight.unflatten(3, (3, 2)).unflatten(2, (3, 2)).flip(2, 4)  # (C, O, 3, phase, 3, phase)
    kernels = kernels.permute(1, 3, 5, 0, 2, 4).reshape(4 * outputs, channels, 3, 3)
    bias = cast("Tensor", layer.bias).unsqueeze(1).expand(-1, 4).flatten()
    phases = F.conv2d(x, kernels.contiguous(memory_format=torch.channels_last), bias, padding=2)
    return F.pixel_shuffle(phases, 2)


def sample_latent(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = mu + sigma * noise, all of one shape (..., Z)."""
    return mu + torch.exp(0.5 * logvar) * noise


def kl_to_prior(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, sigma^2) || N(0, 1)) in nats, summed over latents: (..., Z) -> (...)."""
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).sum(dim=-1)


def salience_weight(pixels: Tensor, average: Tensor, salience: float) -> Tensor:
    """1 + salience * (mean squared deviation of a pixel's channels from the average frame): (B, 1, 64, 64).

    Squared error alone makes V paint much of what is large and little of what is small, however much depends on it:
    a fireball of four pixels counts for less than the grain of a wall. What is bright where it is mostly dark, or
    dark where it is mostly bright, is what a frame has to tell.

    Args:
        pixels: (B, 3, 64, 64) in [0, 1]. average: (3, 64, 64), the mean of many frames.
    """
    return 1 + salience * (pixels - average).square().mean(dim=1, keepdim=True)


def pixels(frames: Tensor) -> Tensor:
    """Stored frames (B, 64, 64, 3) uint8 -> float (B, 3, 64, 64) in [0, 1], channels last in memory."""
    return frames.permute(0, 3, 1, 2).float().div_(255)


def frames(pixels: Tensor) -> Tensor:
    """The inverse of `pixels`, rounded to uint8: (B, 3, 64, 64) -> (B, 64, 64, 3)."""
    return pixels.mul(255).round_().clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
