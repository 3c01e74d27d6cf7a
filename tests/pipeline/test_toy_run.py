"""The whole pipeline on the toy game, driven from the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from worldmodels.cli import main
from worldmodels.evaluation.score import episode_seeds
from worldmodels.pipeline import ending
from worldmodels.pipeline.ending import film_of_dream
from worldmodels.pipeline.rounds import undisturbed
from worldmodels.pipeline.work import open_run
from worldmodels.rollouts.collect import play
from worldmodels.rollouts.store import EpisodeStore
from worldmodels.runs.folder import RunFolder
from worldmodels.runs.seeds import stream
from worldmodels.worlds.policy import ActionNoise

STAGES = ["collect", "vision", "encode", "memory", "evolve"]


def test_the_run_folder_holds_every_file(toy_run, results):
    rounds = ["round-00", "round-01"]
    expected = {"experiment.json", "controller/best.json", "finished.json"}
    expected |= {f"{part}/{r}.safetensors" for part in ("vision", "memory", "controller") for r in rounds}
    expected |= {f"evaluation/{name}.json" for name in ("actual", "dream", "random", *rounds)}
    expected |= {f"evaluation/{r}-dream.json" for r in rounds}
    expected |= {f"metrics/{name}-0{r}.jsonl" for name in ("vision", "memory", "evolve") for r in (0, 1)}
    expected |= {f"media/{name}.png" for name in ("reconstructions", "samples", "strip")}
    expected |= {f"media/{name}.mp4" for name in ("comparison", "dream", "drive")}
    episodes = {"round-00": 16, "round-01": 3 + 3, "round-02": 3}
    for name, count in episodes.items():
        expected |= {f"rollouts/{name}.json"} | {f"rollouts/{name}/episode-{i:05d}.npz" for i in range(count)}
        if name in rounds:
            expected |= {f"latents/{name}.json"} | {
                f"latents/{name}/episode-{i:05d}.npz" for i in range(count)
            }
    assert set(results(toy_run)) == expected
    assert "<html" in (toy_run / "report.html").read_text()[:200]


def test_the_record_says_how_the_run_was_made(toy_run):
    record = json.loads((toy_run / "experiment.json").read_text())
    assert record["experiment"]["game"] == "toy"
    assert record["experiment"]["rounds"]["vision_steps"] == [12, 4]
    assert record["experiment"]["controller"]["feature_size"] == 8 + 16
    assert record["versions"]["torch"]
    assert record["machine"]["cores"] >= 1


def test_each_stage_says_what_it_did_and_how_long(toy_run):
    lines = [json.loads(line) for line in (toy_run / "metrics/stages.jsonl").read_text().splitlines()]
    names = [(line["stage"], line["round"]) for line in lines]
    ending = [(name, 2) for name in ("collect", "select", "evaluate", "report")]
    assert names == [(name, r) for r in (0, 1) for name in STAGES] + ending
    assert all(line["seconds"] >= 0 and line["summary"] for line in lines)


def test_how_good_a_rounds_c_is_say_all_whole_episodes_without_noise(toy_run):
    """Played again without noise C does in them what it did, and in none of the toy's exploring episodes."""
    work = open_run(RunFolder(toy_run), "cpu")
    actual = json.loads((toy_run / "evaluation/round-00.json").read_text())["actual"]
    collected = [*actual["scores"], *actual["disturbed_scores"]]
    stored = [work.store(1).read(i) for i in range(len(collected))]
    with work.pool() as pool:
        again = play(pool, work.driver(work.parts(0)), [episode.seed for episode in stored], work.ticks, 1)
    pairs = enumerate(zip(stored, again, strict=True))
    same = [i for i, (ours, other) in pairs if np.allclose(ours.actions, other.actions, atol=1e-4)]
    assert same == [0, 1, 2]
    assert actual["own"]["episodes"] == 3
    assert actual["own"]["mean"] == pytest.approx(np.mean([collected[i] for i in same]))


def test_noise_leaves_the_last_ones_of_each_batch_alone():
    assert undisturbed(10, 4, ActionNoise(share=0.5)) == [2, 3, 6, 7, 9]
    assert undisturbed(10, 4, ActionNoise(share=0.0)) == list(range(10))
    assert undisturbed(10, 4, ActionNoise(share=1.0)) == []


def test_training_a_finished_run_again_does_nothing(toy_run, tiny, capsys):
    before = {path: path.stat().st_mtime_ns for path in toy_run.rglob("*") if path.name != ".lock"}
    assert main(["train", "toy", "--run", str(toy_run)]) == 0
    assert main(["train", "toy", "--run", str(toy_run), *tiny]) == 0
    said = capsys.readouterr()
    assert said.out == 2 * f"nothing left to do in {toy_run}; open {toy_run / 'report.html'}\n"
    assert said.err == ""
    assert {path: path.stat().st_mtime_ns for path in toy_run.rglob("*") if path.name != ".lock"} == before


def test_stages_one_by_one_give_the_same_run(toy_run, tmp_path, results):
    run = tmp_path / "steps"
    run.mkdir()
    shutil.copy(toy_run / "experiment.json", run)
    for verb in STAGES + STAGES:
        assert main([verb, str(run)]) == 0
    whole, stepwise = results(toy_run), results(run)
    assert {name for name in stepwise if stepwise[name] != whole[name]} == set()
    assert {name for name in whole if name.endswith("safetensors")} <= stepwise.keys()


def test_a_stage_out_of_turn_says_which_comes_first(toy_run, tmp_path, capsys):
    shutil.copy(toy_run / "experiment.json", tmp_path)
    assert main(["memory", str(tmp_path)]) == 2
    assert f"run `worldmodels collect {tmp_path}` first" in capsys.readouterr().err


def test_another_seed_gives_another_run(toy_run, tmp_path):
    run = tmp_path / "other"
    run.mkdir()
    record = json.loads((toy_run / "experiment.json").read_text())
    record["experiment"]["seed"] = 1
    (run / "experiment.json").write_text(json.dumps(record))
    for name in ("collect", "vision"):
        assert main([name, str(run)]) == 0
    for name in ("rollouts/round-00/episode-00000.npz", "vision/round-00.safetensors"):
        assert (run / name).read_bytes() != (toy_run / name).read_bytes()


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert main(["evaluate", *arguments, "--json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    return json.loads(lines[0])


@pytest.mark.parametrize("world", ["actual", "dream"])
def test_evaluate_prints_the_object_of_the_contract(toy_run, world, capsys):
    score = evaluated(capsys, str(toy_run), "--world", world, "--episodes", "4", "--seed", "7")
    assert score.keys() >= {
        "game", "world", "episodes", "seed", "mean", "std", "standard_error", "scores", "seconds", "steps_per_second",
    }  # fmt: skip
    assert (score["game"], score["world"], score["episodes"], score["seed"]) == ("toy", world, 4, 7)
    assert len(score["scores"]) == 4
    assert score["mean"] == pytest.approx(np.mean(score["scores"]))
    assert score["std"] == pytest.approx(np.std(score["scores"], ddof=1))
    assert score["standard_error"] == pytest.approx(score["std"] / 2)
    assert score["seconds"] > 0
    assert score["steps_per_second"] > 0
    again = evaluated(capsys, str(toy_run), "--world", world, "--episodes", "4", "--seed", "7")
    assert again["scores"] == score["scores"]
    other = evaluated(capsys, str(toy_run), "--world", world, "--episodes", "4", "--seed", "8")
    assert other["scores"] != score["scores"]


def test_the_temperature_changes_the_dream(toy_run, capsys):
    cool, hot = (
        evaluated(capsys, str(toy_run), "--world", "dream", "--episodes", "4", "--temperature", t)
        for t in ("0.5", "1.5")
    )
    assert cool["temperature"] == 0.5
    assert cool["scores"] != hot["scores"]


def test_without_json_a_sentence_is_printed(toy_run, capsys):
    assert main(["evaluate", str(toy_run), "--episodes", "2"]) == 0
    assert capsys.readouterr().out.startswith("toy, actual: ")


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_dream_is_filmed(toy_run, tmp_path, suffix, capsys):
    path = tmp_path / "new" / f"dream{suffix}"
    assert main(["dream", str(toy_run), "--steps", "6", "--out", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    if suffix == ".gif":
        with Image.open(path) as film:
            assert 2 <= getattr(film, "n_frames", 1) <= 7
    else:
        with av.open(str(path)) as film:
            assert 2 <= sum(1 for _ in film.decode(video=0)) <= 7


def test_a_filmed_dream_ends_as_often_as_those_of_the_run(toy_run, tmp_path):
    """Where ends are drawn, an M that learnt each of them as a million holds them for a millionth as likely."""
    work = open_run(RunFolder(toy_run), "cpu")
    parts = work.best()
    with torch.no_grad():
        parts.memory.head.weight[-1], parts.memory.head.bias[-1] = 0, 0
    starts = work.starts(parts.round, parts.memory, 4)
    lengths = []
    for weight in (1.0, 1e6):
        changed = replace(
            work.experiment,
            dream=replace(work.experiment.dream, ends="drawn"),
            memory=replace(work.experiment.memory, end_positive_weight=weight),
        )
        other = replace(work, experiment=changed)
        path = film_of_dream(other, parts, starts, tmp_path / "dream.mp4", 40, 1.0, 0)
        with av.open(str(path)) as film:
            lengths.append(sum(1 for _ in film.decode(video=0)))
    assert lengths[0] < 30
    assert lengths[1] == 41


def test_the_report_is_written_again(toy_copy, capsys):
    (toy_copy / "report.html").unlink()
    assert main(["report", str(toy_copy)]) == 0
    assert capsys.readouterr().out == f"{toy_copy / 'report.html'}\n"
    assert (toy_copy / "report.html").stat().st_size > 10_000


def test_a_round_whose_v_was_trained_on_can_still_dream(toy_copy, capsys):
    """The first V's latents have been replaced by the second's; the dream of the first round needs the old ones."""
    (toy_copy / "controller/best.json").write_text(json.dumps({"round": 0}))
    score = evaluated(capsys, str(toy_copy), "--world", "dream", "--episodes", "2")
    assert score["controller_round"] == 0


def test_no_episode_is_scored_that_was_learnt_from_or_chosen_by(toy_run):
    record = json.loads((toy_run / "experiment.json").read_text())
    seed = record["experiment"]["seed"]
    played = {
        EpisodeStore(folder).read(index).seed
        for folder in (toy_run / "rollouts").glob("round-*/")
        for index in EpisodeStore(folder).indices()
    }
    assert len(played) == 16 + 6 + 3
    selecting = {stream(seed, "select", i) % 2**31 for i in range(16)}
    driven = {stream(seed, "drive", i) % 2**31 for i in range(4)}
    final = json.loads((toy_run / "evaluation/actual.json").read_text())["seed"]
    for scored in (episode_seeds(final, 1000), episode_seeds(seed, 1000), episode_seeds(1, 1000)):
        assert len(set(scored)) == 1000
        assert not set(scored) & (played | selecting | driven)


def test_the_preset_learns_to_play(tmp_path, monkeypatch):
    """C, evolved in the dream alone, beats the random policy in the actual game."""
    monkeypatch.setattr(ending, "draw", lambda *_: None)
    assert main(["train", "toy", "--run", str(tmp_path / "run")]) == 0
    actual, dream, rival = (
        json.loads((tmp_path / f"run/evaluation/{name}.json").read_text())
        for name in ("actual", "dream", "random")
    )
    assert actual["mean"] > rival["mean"] + 5 > 15
    assert abs(actual["mean"] - dream["mean"]) < 10
    assert actual["seed"] == rival["seed"] == dream["seed"]
