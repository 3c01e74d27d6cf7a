"""What every stage of a run needs at hand: its folder, settings, device, and the parts trained so far."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from worldmodels.controller.linear import ControllerConfig
from worldmodels.envs.game import GameSpec, game
from worldmodels.envs.pool import EpisodePool, open_pool
from worldmodels.errors import UserError
from worldmodels.evolution.controllers import load_controller
from worldmodels.experiments import Experiment, at_round
from worldmodels.memory.mdn_rnn import MDNRNN
from worldmodels.memory.train import load_memory
from worldmodels.pipeline import released
from worldmodels.rollouts.latents import (
    LatentEpisode,
    StoredLatents,
    latents_vision,
    mirrored,
    read_folders,
    read_latents,
)
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.device import choose_device
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.seeds import numpy_stream
from worldmodels.runs.settings import from_json
from worldmodels.vision.encode import encode_episode
from worldmodels.vision.train import load_vision
from worldmodels.vision.vae import VAE
from worldmodels.worlds.actual import Senses
from worldmodels.worlds.agent import Agent, Controller
from worldmodels.worlds.dream import DreamWorld
from worldmodels.worlds.dream_tick import DreamConfig
from worldmodels.worlds.policy import ActionNoise, ControllerPolicy
from worldmodels.worlds.starts import Starts, gather_starts


@dataclass(frozen=True)
class Parts:
    """V, M and C of one round, of one lineage."""

    round: int
    vision: VAE
    memory: MDNRNN
    config: ControllerConfig
    parameters: torch.Tensor  # (n,)


@dataclass(frozen=True)
class Work:
    """A run that is being worked on."""

    run: RunFolder
    experiment: Experiment
    device: torch.device

    @property
    def spec(self) -> GameSpec:
        return game(self.experiment.game)

    @property
    def ticks(self) -> int:
        """Length of a whole episode in ticks of the agent."""
        return -(-self.spec.max_steps // self.experiment.action_repeat)

    def pool(self, backend: str | None = None) -> EpisodePool:
        """Games with this experiment's action repeat, played by `backend` or by the experiment's."""
        chosen = backend or self.experiment.backend
        if self.spec.gym_id is None and chosen == "gymnasium":
            chosen = "auto"  # a game of our own is its own reference
        return open_pool(self.spec, chosen, self.experiment.action_repeat)

    def search_pool(self) -> EpisodePool:
        """The games in which Cs are sought. UserError where missed tiles are to cost C and nobody counts them."""
        pool = self.pool(self.experiment.evolution.backend)
        if self.experiment.gradient.missed and not pool.counts_missed:
            pool.close()
            sketched = (
                "" if self.spec.sketcher is None else ", or --evolution.backend sketch, which counts them"
            )
            raise UserError(
                f"gradient.missed is {self.experiment.gradient.missed}, and who plays {self.spec.name} here does not "
                f"say which tiles of a road were missed: type --gradient.missed 0{sketched}"
            )
        return pool

    def store(self, round: int) -> EpisodeStore:
        return EpisodeStore(self.run.rollouts(round))

    def vision_round(self, round: int) -> int:
        """The round whose V is in use in `round`: the last one that trained it."""
        return _last_trained(self.experiment.rounds.vision_steps, round)

    def memory_round(self, round: int) -> int:
        """The round whose M is in use in `round`."""
        return _last_trained(self.experiment.rounds.memory_steps, round)

    def temperature(self, round: int) -> float:
        """That of the dreams in which a round's own C is evolved."""
        experiment = self.experiment
        return at_round(experiment.rounds.temperatures or (experiment.dream.temperature,), round)

    def vision(self, round: int) -> tuple[VAE, str]:
        """V in use in a round, and its sha256."""
        return load_vision(self.run, self.vision_round(round), self.device)

    def memory(self, round: int) -> tuple[MDNRNN, str]:
        """M in use in a round and its sha256; UserError when it was not trained on that round's V."""
        _, vision = self.vision(round)
        return load_memory(self.run, self.memory_round(round), vision, self.device)

    def last_memory(self, round: int, dreamer: int = 0) -> MDNRNN:
        """M in use in a round, whatever V it grew on: to train on from."""
        return load_memory(self.run, self.memory_round(round), None, self.device, dreamer)[0]

    def dreamers(self, round: int) -> int:
        """How many Ms dream in a round. A released run, and a copy of one, has C's own alone."""
        if self.run.is_released:
            return 1
        return at_round(self.experiment.rounds.dreamers, self.memory_round(round))

    def dreamer(self, round: int, dreamer: int) -> tuple[MDNRNN, str]:
        """One of these Ms, numbered from 0, and its sha256; 0 is C's own."""
        _, vision = self.vision(round)
        return load_memory(self.run, self.memory_round(round), vision, self.device, dreamer)

    def parts(self, round: int, controller: Path | None = None) -> Parts:
        """V, M and C of a round, or the C at `controller`; UserError where one was made from other than the others."""
        vision, vision_hash = self.vision(round)
        memory, memory_hash = self.memory(round)
        made_from = {"vision": vision_hash, "memory": memory_hash}
        config, parameters, _ = load_controller(controller or self.run.controller(round), made_from)
        return Parts(round, vision, memory, config, parameters.to(self.device))

    def best(self) -> Parts:
        """The parts of the round that was chosen; of the last finished one while none is chosen yet."""
        if self.run.best_controller.exists():
            chosen = read_json(self.run.best_controller)
            round = chosen.get("round") if isinstance(chosen, dict) else None
            if not isinstance(round, int) or not 0 <= round < self.experiment.rounds.count:
                raise UserError(
                    f"{self.run.best_controller} does not say which round was chosen; delete it and run "
                    f"`worldmodels train {self.experiment.game} --run {self.run.path}`"
                )
            return self.parts(round)
        finished = [r for r in range(self.experiment.rounds.count) if self.run.controller(r).exists()]
        if not finished:
            raise UserError(
                f"{self.run.path} has no controller yet; run `worldmodels train "
                f"{self.experiment.game} --run {self.run.path}`"
            )
        return self.parts(finished[-1])

    def latents(self, round: int, with_mirrored: bool) -> list[LatentEpisode]:
        """Episodes of rounds 0..round as the V of `round` encoded them; UserError when a later V has."""
        _, vision = self.vision(round)
        folders = [self.run.latents(r) for r in range(round + 1)]
        if with_mirrored:
            folders += [mirrored(folder) for folder in folders]
        return read_folders(folders, vision)

    def seen(self, round: int, newest: int | None = None) -> StoredLatents:
        """As `latents` without the mirrored ones, and read one by one; what a later V has encoded is encoded again.

        `newest` takes no more than so many episodes, the last ones. UserError where there are none at all.
        """
        vision, sha256 = self.vision(round)
        pairs = [
            (store, index, self.run.latents(r))
            for r in range(round + 1)
            for store in [self.store(r)]
            for index in store.indices()
        ][-newest if newest else 0 :]
        if not pairs:
            raise self.no_episodes(round)

        def read(store: EpisodeStore, index: int, folder: Path) -> LatentEpisode:
            path = folder / store.path(index).name
            if latents_vision(path) not in (None, sha256):
                return encode_episode(vision, store, index, self.device)
            return read_latents(path, sha256)

        return StoredLatents([partial(read, *pair) for pair in pairs])

    def no_episodes(self, round: int) -> UserError:
        """That nothing is there at which a dream could begin; what was deleted to save space is played again so."""
        return UserError(
            f"{self.run.path} has no episodes to begin a dream at; to play them again delete "
            f"{self.run.collected(round)} and run `worldmodels collect {self.run.path}`"
        )

    def driver(self, parts: Parts, noise: ActionNoise | None = None) -> ControllerPolicy:
        """C at the wheel, for collecting; with noise it explores."""
        low, high = self.spec.action_low, self.spec.action_high
        return ControllerPolicy(self.senses(parts), parts.config, parts.parameters, low, high, noise)

    def senses(self, parts: Parts) -> Senses:
        return Senses(parts.vision, parts.memory, parts.config.features, self.device)

    def dream(
        self, round: int, memory: MDNRNN, features: str, config: DreamConfig, brink: float = 0.0
    ) -> DreamWorld:
        """The dream of a round's M, beginning from the episodes stored until then.

        Where C is sought, `brink` is that of the settings; a score or a film begins at any moment.
        """
        return self.dream_from(self.starts(round, memory, config.starts, brink), memory, features, config)

    def dream_from(self, starts: Starts, memory: MDNRNN, features: str, config: DreamConfig) -> DreamWorld:
        """The dream of an M of this run, beginning at these moments."""
        low, high = (
            torch.from_numpy(bound).to(self.device) for bound in (self.spec.action_low, self.spec.action_high)
        )
        end_weight = self.experiment.memory.end_positive_weight
        return DreamWorld(memory, starts, config, features, (low, high), end_weight)

    def starts(self, round: int, memory: MDNRNN, count: int, brink: float = 0.0) -> Starts:
        """Up to `count` openings and as many later moments of those episodes, see `gather_starts`.

        Of a released run those it has.
        """
        if self.run.is_released:
            return released.starts(self.run, self.memory(round)[1], self.device)
        rng = numpy_stream(self.experiment.seed, "starts", round)
        return gather_starts(memory, self.seen(round), count, rng, brink)

    def agent(self, parts: Parts, controller: Controller | None = None) -> Agent:
        """The agent as `load_agent` gives it, with another C in its place where there is one."""
        return Agent(
            self.spec,
            parts.vision,
            parts.memory,
            parts.config,
            parts.parameters,
            self.experiment.action_repeat,
            controller,
        )

    def seeds(self, round: int, count: int) -> list[int]:
        """Seeds of the episodes collected in a round, in [0, 2**31)."""
        rng = numpy_stream(self.experiment.seed, "collect", round)
        return rng.integers(0, 2**31, size=count).tolist()


def _last_trained(schedule: tuple[int, ...], round: int) -> int:
    return max((r for r in range(round + 1) if at_round(schedule, r) > 0), default=0)


def open_run(run: RunFolder, device: str = "auto") -> Work:
    """A run that was begun, with the settings it was begun with. UserError when there is none at this path."""
    if not run.path.is_dir():
        raise UserError(
            f"{run.path} is not a run folder; begin one with `worldmodels train car-racing --run {run.path}`"
        )
    if not run.experiment.exists():
        raise UserError(
            f"{run.path} is not a run folder (it has no {run.experiment.name}); begin one elsewhere, for example with "
            "`worldmodels train car-racing --run runs/demo`"
        )
    try:
        content: Any = json.loads(run.experiment.read_bytes())
    except (ValueError, OSError) as error:
        raise _no_record(run, str(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("experiment"), dict):
        raise _no_record(run, "it holds something else")
    return Work(run, from_json(Experiment, content["experiment"]), choose_device(device))


def _no_record(run: RunFolder, why: str) -> UserError:
    return UserError(
        f"{run.experiment} is not the record of a run ({why}); put back a copy of it, or begin again with another --run"
    )
