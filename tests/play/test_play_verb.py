"""`worldmodels play` as it is typed: a program that serves a run, and leaves nothing behind when it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from websockets.sync.client import connect

from worldmodels.cli import main
from worldmodels.errors import UserError
from worldmodels.experiments import Experiment
from worldmodels.memory.mdn_rnn import MDNRNN, MDNRNNConfig
from worldmodels.pipeline.play import play_model
from worldmodels.pipeline.train import begin
from worldmodels.play.serve import address_of, listen
from worldmodels.presets import car_racing_demo
from worldmodels.rollouts.episode import Episode
from worldmodels.rollouts.latents import LatentEpisode, write_latents
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.checkpoint import save_checkpoint
from worldmodels.runs.files import write_json
from worldmodels.runs.folder import RunFolder
from worldmodels.vision.vae import VAE, VAEConfig


@pytest.fixture(scope="module")
def car_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A car whose V, M and C have learnt nothing, with a few episodes of noise, as training leaves a run."""
    experiment = replace(
        car_racing_demo(),
        vae=VAEConfig(latent_size=4),
        mdn_rnn=MDNRNNConfig(latent_size=4, hidden_size=8, predicts_reward=True, predicts_end=True),
    )
    run = RunFolder(tmp_path_factory.mktemp("runs") / "car")
    experiment = begin(run, experiment, "cpu").experiment
    torch.manual_seed(0)
    vision, memory = VAE(experiment.vae), MDNRNN(experiment.mdn_rnn)
    made_from: dict[str, str] = {}
    for kind, config, part in (("vision", experiment.vae, vision), ("memory", experiment.mdn_rnn, memory)):
        made_from[kind] = save_checkpoint(
            getattr(run, kind)(0),
            kind=kind,
            config=asdict(config),
            weights=part.state_dict(),
            made_from=dict(made_from),
        )
    save_controllers(run, experiment, made_from)
    rng = np.random.default_rng(0)
    for index in range(3):
        frames = rng.integers(0, 255, (9, 64, 64, 3), np.uint8)
        actions, rewards = np.zeros((8, 3), np.float32), np.ones(8, np.float32)
        EpisodeStore(run.rollouts(0)).write(
            index, Episode(frames, actions, rewards, False, "noise", index, 4, 32)
        )
        mu, logvar = rng.normal(size=(2, 9, 4)).astype(np.float32)
        latents = LatentEpisode(mu, logvar, actions, rewards, False)
        write_latents(run.latents(0) / f"episode-{index:05d}.npz", latents, made_from["vision"])
    return run


def save_controllers(run: RunFolder, experiment: Experiment, made_from: dict[str, str]) -> None:
    """The C of round 0, one of a colder dream with its scores, and one that another M has left behind."""
    ours, foreign = made_from, made_from | {"memory": "0" * 64}
    paths = {run.controller(0): ours, run.controller_at(0, 0.1): ours, run.controller_at(0, 0.5): foreign}
    for path, ancestors in paths.items():
        weights = {"parameters": torch.randn(experiment.controller.parameter_count)}
        config = asdict(experiment.controller)
        save_checkpoint(path, kind="controller", config=config, weights=weights, made_from=ancestors)
    scores = {"mean": 10.0, "std": 1.0, "standard_error": 0.5, "episodes": 4}
    dream = scores | {"ticks": 100, "per_1000_steps": 25.0}
    write_json(
        run.temperature_score(0, 0.1),
        {"temperature": 0.1, "dream": dream, "actual": scores | {"scores": [1]}},
    )


def test_a_run_is_read_with_all_that_can_drive_it(car_run):
    model = play_model(car_run, "cpu")
    assert model.name == "car-racing · car"
    assert [driver.name for driver in model.controllers] == ["round-00", "temperature-0.10"]
    assert [driver.temperature for driver in model.controllers] == [1.0, 0.1]
    assert model.controllers[0].actual_score is None
    assert model.controllers[1].dream_score == {
        "mean": 10.0, "standard_error": 0.5, "episodes": 4, "per_1000_steps": 25.0,
    }  # fmt: skip
    assert model.controllers[1].actual_score == {"mean": 10.0, "standard_error": 0.5, "episodes": 4}
    assert (len(model.starts), model.starts.openings) == (3 + 21, 3)
    assert model.examples.shape == (6, 64, 64, 3)
    assert sorted(model.latent_order) == [0, 1, 2, 3]
    assert (model.action_repeat, model.temperature, len(model.memory_hash)) == (4, 1.0, 64)


def test_what_is_missing_is_named(car_run, tmp_path):
    with pytest.raises(UserError, match="is not a run folder"):
        play_model(RunFolder(tmp_path), "cpu")
    run = RunFolder(tmp_path / "run")
    begin(run, car_racing_demo(), "cpu")
    with pytest.raises(UserError, match="has no controller yet"):
        play_model(run, "cpu")


@pytest.mark.parametrize(("folder", "verb"), [("latents", "encode"), ("rollouts", "collect")])
def test_missing_episodes_are_named(car_run, tmp_path, folder, verb):
    hidden = tmp_path / folder
    place = car_run.path / folder
    place.rename(hidden)
    try:
        with pytest.raises(UserError, match=f"run `worldmodels {verb} "):
            play_model(car_run, "cpu")
    finally:
        hidden.rename(place)


def test_a_taken_port_is_named(capsys, car_run):
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert address_of(taken, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert address_of(taken, "0.0.0.0") == f"http://localhost:{port}/"
        assert main(["play", str(car_run.path), "--no-browser", "--port", str(port)]) == 2
    said = capsys.readouterr().err
    assert (
        f"port {port} is taken, perhaps by another `worldmodels play`; type --port 0 for any that is free"
        in said
    )


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 99_999, "--port must lie between 0 and 65535, got 99999"),
        ("127.0.0.1", -1, "--port must lie between 0 and 65535, got -1"),
        ("192.0.2.1", 0, "--host 192.0.2.1 is no address of this machine"),
        ("no such host", 0, "--host no such host is no address of this machine"),
    ],
)
def test_places_where_nobody_can_listen_are_named(host, port, sentence):
    with pytest.raises(UserError, match=sentence):
        listen(host, port)


def children(pid: int) -> list[int]:
    """Processes that this one has started and that still run."""
    everybody = psutil.process_iter(["ppid", "status"])
    running = [process for process in everybody if process.info["status"] != psutil.STATUS_ZOMBIE]
    return [process.pid for process in running if process.info["ppid"] == pid]


@contextmanager
def playing(run: RunFolder, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program and the address that it prints."""
    command = [
        sys.executable,
        "-m",
        "worldmodels.cli",
        "play",
        str(run.path),
        "--port",
        "0",
        "--no-browser",
        *options,
    ]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        line = program.stdout.readline()
        assert "http://" in line, program.stderr.read() if program.stderr else ""
        yield program, line.split("http://")[1].split("/")[0]
    finally:
        program.kill()
        program.communicate()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are looked up in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, -signal.SIGTERM)])
def test_no_game_outlives_the_program(car_run, number, code):
    with playing(car_run) as (program, address), connect(f"ws://{address}/ws", open_timeout=60) as client:
        assert json.loads(client.recv(60))["game"] == "car-racing"
        client.send('{"type":"screen","name":"compare"}')
        until = time.monotonic() + 100
        while time.monotonic() < until:
            data = client.recv(60)
            if isinstance(data, bytes):
                header = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
                client.send(json.dumps({"type": "ack", "n": header["n"]}))
                if header["screen"] == "compare":
                    break
        games = children(program.pid)
        assert len(games) == 2, "a worker, and who sweeps up after it"
        program.send_signal(number)
        program.wait(60)
        assert program.returncode == code
        until = time.monotonic() + 10
        while any(Path(f"/proc/{pid}/environ").exists() for pid in games) and time.monotonic() < until:
            time.sleep(0.05)
        assert not [pid for pid in games if Path(f"/proc/{pid}").exists()]
        assert program.stderr is not None
        assert program.stderr.read() == ""


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_everybody_on_the_network_is_warned_of(car_run):
    with playing(car_run, "--host", "0.0.0.0") as (program, address):
        assert address.startswith("localhost:")
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=60)
        assert "with --host 0.0.0.0 anybody on the network can play" in said
