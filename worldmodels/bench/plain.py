"""V and M once more, as one would write them down from the paper: the reference for numbers and for speed.

No fused layers, no memory formats, no products laid together, nothing compiled, nobody left behind. Whoever reads the
paper should recognise each line. Their weights are those of the production code, by the same names where that can be.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.memory.sequences import Batch
from worldmodels.memory.train import MemoryTraining
from worldmodels.vision.vae import VAE, VAEConfig


class PlainVision(nn.Module):
    """V of the appendix: four convolutions, and four transposed ones that begin at a single pixel."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 32, 4, stride=2), nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2), nn.ReLU(),
            nn.Conv2d(64, 128, 4, stride=2), nn.ReLU(),
            nn.Conv2d(128, 256, 4, stride=2), nn.ReLU(),
        )  # fmt: skip
        self.mu = nn.Linear(1024, config.latent_size)
        self.logvar = nn.Linear(1024, config.latent_size)
        self.expand = nn.Linear(config.latent_size, 1024)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(1024, 128, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 5, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 6, stride=2), nn.ReLU(),
            nn.ConvTranspose2d(32, 3, 6, stride=2), nn.Sigmoid(),
        )  # fmt: skip

    @classmethod
    def like(cls, model: VAE) -> PlainVision:
        """With the weights of `model`, copied into this one's layout."""
        plain = cls(model.config).to(model.mu.weight.device, model.mu.weight.dtype)
        plain.load_state_dict(model.state_dict())
        return plain

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (B, 3, 64, 64) in [0, 1] -> mu, logvar (B, Z)."""
        hidden = self.encoder(frames).reshape(len(frames), 1024)
        return self.mu(hidden), self.logvar(hidden)

    def decode(self, z: Tensor) -> Tensor:
        """Latents (B, Z) -> frames (B, 3, 64, 64)."""
        return self.decoder(self.expand(z).reshape(len(z), 1024, 1, 1))

    def loss(self, frames: Tensor, noise: Tensor) -> Tensor:
        """Squared error of a frame, and the KL where it is above the free bits: the mean over the batch."""
        mu, logvar = self.encode(frames)
        sigma = torch.exp(logvar / 2)
        error = (self.decode(mu + sigma * noise) - frames).pow(2).sum(dim=(1, 2, 3))
        kl = -0.5 * (1 + logvar - mu.pow(2) - sigma.pow(2)).sum(dim=1)
        free = self.config.free_nats * self.config.latent_size
        return (error + torch.clamp(kl, min=free)).mean()


def stored_to_pixels(frames: Tensor) -> Tensor:
    """Stored frames (B, 64, 64, 3) uint8 -> (B, 3, 64, 64) in [0, 1], side by side as PyTorch has it by default."""
    return frames.permute(0, 3, 1, 2).contiguous().float() / 255


def pixels_to_stored(pixels: Tensor) -> Tensor:
    """The inverse."""
    return (pixels * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class Outputs(NamedTuple):
    """What M says after a tick; the mixture's fields are (..., Z, K)."""

    logits: Tensor
    mu: Tensor
    log_sigma: Tensor
    reward: Tensor | None  # (...)
    end_logit: Tensor | None  # (...)


class PlainMemory(nn.Module):
    """M: an LSTM cell and a linear layer, used tick by tick."""

    def __init__(self, config: MDNRNNConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.ModuleList([nn.Linear(*sizes) for sizes in config.layers])
        self.cell = nn.LSTMCell(config.lstm_inputs, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, config.output_size)
        self.cell.bias_hh.requires_grad_(False)  # the paper has one bias

    @classmethod
    def like(cls, model: MDNRNN) -> PlainMemory:
        """With the weights of `model`."""
        plain = cls(model.config).to(model.head.weight.device, model.head.weight.dtype)
        weights = {
            name.replace("lstm.", "cell.").replace("_l0", ""): value
            for name, value in model.state_dict().items()
        }
        plain.load_state_dict(weights)
        return plain

    def remember(self, z: Tensor, action: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """M's memory (B, N) after it has seen z (B, Z) and action (B, A)."""
        inputs = [z, action]
        if self.config.restart_flag:
            inputs.append(torch.all(c == 0, dim=1, keepdim=True).to(z.dtype))
        seen = given = torch.cat(inputs, dim=1)
        for layer in self.embedding:
            seen = nn.functional.silu(layer(seen))
        return self.cell(torch.cat([given, seen], dim=1) if len(self.embedding) else given, (h, c))

    def outputs(self, h: Tensor) -> Outputs:
        """What it expects: h (..., N)."""
        size = self.config.latent_size * self.config.mixtures
        shape = (*h.shape[:-1], self.config.latent_size, self.config.mixtures)
        out = self.head(h)
        logits, mu, log_sigma = (out[..., i * size : (i + 1) * size].reshape(shape) for i in range(3))
        extra = list(out[..., 3 * size :].unbind(dim=-1))
        reward = extra.pop(0) * self.config.reward_scale if self.config.predicts_reward else None
        return Outputs(logits, mu, log_sigma, reward, extra.pop(0) if self.config.predicts_end else None)

    def loss(self, batch: Batch, noise: Tensor, training: MemoryTraining) -> Tensor:
        """What training minimises, for noise (B, T + 1, Z) and an empty memory before the first tick."""
        z = batch.mu + torch.exp(batch.logvar / 2) * noise
        h = c = z.new_zeros(len(z), self.config.hidden_size)
        hidden = []
        for t in range(batch.actions.shape[1]):
            h, c = self.remember(z[:, t], batch.actions[:, t], h, c)
            hidden.append(h)
        out = self.outputs(torch.stack(hidden, dim=1))
        components = Normal(out.mu, torch.exp(out.log_sigma), validate_args=False)
        chances = Categorical(logits=out.logits, validate_args=False)
        mixture = MixtureSameFamily(chances, components, validate_args=False)
        seen, ticks = batch.weight, batch.weight.sum()
        loss = -(mixture.log_prob(z[:, 1:]).mean(dim=2) * seen).sum() / ticks
        if out.reward is not None:
            target = batch.rewards.clamp(-training.reward_clip, training.reward_clip)
            error = ((out.reward - target) / self.config.reward_scale).pow(2)
            loss = loss + training.reward_weight * (error * seen).sum() / ticks
        if out.end_logit is not None:
            chance = torch.sigmoid(out.end_logit)
            happened = training.end_positive_weight * batch.ended * torch.log(chance)
            error = -(happened + (1 - batch.ended) * torch.log(1 - chance))
            loss = loss + training.end_weight * (error * seen).sum() / ticks
        return loss
