"""What the page is told first."""

from __future__ import annotations

from typing import Any

from worldmodels.play.dream_screen import RECORDED
from worldmodels.play.frame import rounded
from worldmodels.play.keys import for_client
from worldmodels.play.model import PlayModel
from worldmodels.play.wheel import Wheel
from worldmodels.play.words import words

VERSION = 1  # of the protocol


def hello(model: PlayModel, token: str, wheel: Wheel) -> dict[str, Any]:
    """The model, the game's keys, the controllers, and how the session is set."""
    with_game = model.open_game is not None
    return {
        "type": "hello",
        "version": VERSION,
        "session": token,
        "model": model.name,
        "game": model.spec.name,
        "screens": ["dream", "compare", "latents", "cheating"] if with_game else ["dream", "latents"],
        "steps_per_second": model.spec.steps_per_second,
        "action_repeat": model.action_repeat,
        "latent_size": model.latent_size,
        "end_weight": model.end_weight,  # an end is as likely as M's logit says, less this one's logarithm
        **for_client(model.spec),
        "words": words(model.spec),
        "pays": model.memory.config.predicts_reward,  # else a dream pays a point a tick
        "controllers": [
            {
                "name": driver.name,
                "label": driver.label,
                "temperature": driver.temperature,
                "dream_score": driver.dream_score,
                "actual_score": driver.actual_score,
            }
            for driver in model.controllers
        ],
        "controller": wheel.driver.name,
        "temperature": wheel.temperature / 100,
        "temperatures": [0.1, 2.0],
        "latents": {
            "order": model.latent_order,
            "mean": rounded(model.latent_mean),
            "std": rounded(model.latent_std),
            "examples": len(model.examples),
        },
        "recording": {"formats": ["mp4", "gif"], "seconds": RECORDED},
        "mixtures": model.memory.config.mixtures,
    }
