"""The command line: what it says to wrong input, and that its help teaches by example."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from worldmodels import cli, presets
from worldmodels.pipeline.train import begin
from worldmodels.runs import folder
from worldmodels.runs.folder import RunFolder


def say(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and everything that was printed, on one line."""
    try:
        code = cli.main(arguments)
    except SystemExit as exit:  # tyro's way
        code = exit.code if isinstance(exit.code, int) else 1
    said = capsys.readouterr()
    return code, " ".join((said.out + said.err).replace("│", " ").split())


def test_without_arguments_it_shows_examples(capsys):
    code, said = say(capsys)
    assert code == 2
    assert "worldmodels train car-racing --preset demo --run runs/demo" in said


@pytest.mark.parametrize("verb", ["", *cli.VERBS])
def test_help_shows_an_example(verb, capsys):
    code, said = say(capsys, *[verb] * bool(verb), "--help")
    assert code == 0
    assert f"worldmodels {verb or 'train car-racing'} " in said.split("Example", 1)[-1]


@pytest.mark.parametrize("verb", ["evaluate", "dream", "play", "collect", "report", "ablate"])
def test_every_option_is_explained(verb, capsys):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    said = capsys.readouterr().out
    assert "RUN" in said
    written_to = verb == "collect"
    assert (
        "a run folder; a release is not written to" if written_to else "a run folder, or pretrained:NAME"
    ) in said
    explained(said)


def test_every_setting_is_explained(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "car-racing", "--help"])
    said = capsys.readouterr().out
    explained(said)
    assert "Who plays where C is sought in the actual game" in said.split("--evolution.backend")[-1][:200]


def explained(help: str) -> None:
    """Every option of a help text has words of its own, and not only a default."""
    rows = [row.strip("│| ") for row in help.splitlines()]
    for row, following in zip(rows, [*rows[1:], ""], strict=True):
        if row.startswith("--") and row[2:3].isalpha():  # and no rule
            words = row.partition("  ")[2].strip() or following
            assert words, row
            assert not words.startswith(("(", "--")), row


def test_the_help_keeps_its_lines(capsys):
    with pytest.raises(SystemExit):
        cli.main(["evaluate", "--help"])
    examples = [
        row for row in capsys.readouterr().out.splitlines() if row.startswith("  worldmodels evaluate ")
    ]
    assert len(examples) == 2


def test_the_help_of_train_names_every_preset(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    said = capsys.readouterr().out
    for game, named in presets.PRESETS.items():
        for name, make in named.items():
            says = (make.__doc__ or "").splitlines()[0]
            assert says.endswith(".")
            assert f"  {game} --preset {name}: {says}" in said


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("worldmodels 0.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("trian toy", "'trian' is not a verb of worldmodels; did you mean train?"),
        ("fly", "'fly' is not a verb of worldmodels; verbs: train, collect"),
        (
            "train",
            "GAME (car-racing, take-cover or toy) is missing; for example: worldmodels train car-racing",
        ),
        ("train --seed 1", "GAME (car-racing, take-cover or toy) is missing"),
        ("train car-raicng", "there is no game 'car-raicng'; type one of car-racing, take-cover, toy"),
        ("train toy --game car-racing", "--game car-racing: type worldmodels train car-racing"),
        ("train toy --preset best", "toy has no preset 'best'; type --preset demo"),
        ("train toy --evolution.populaton 8", "Perhaps you meant: --evolution.population"),
        ("train toy --seed one", "Error parsing --seed"),
        (
            "train toy --vision.steps 3",
            "--vision.steps follows from other settings: type --rounds.vision-steps",
        ),
        ("train toy --evolution.generations=3", "type --rounds.generations"),
        (
            "train car-racing --preset dream --noise.sigma 0.2",
            "--noise.sigma gives way to rounds.noises in this preset: type --rounds.noises",
        ),
        ("train car-racing --preset dream --evolution.search gradient", "type --rounds.searches"),
        ("train toy --rounds.posteriors 1 0.3 --memory.posterior 0.5", "type --rounds.posteriors"),
        (
            "train toy --mdn_rnn.latent_size 5",
            "--mdn_rnn.latent_size follows from other settings: type --vae.latent",
        ),
        ("train toy --controller.feature-size 5", "follows from other settings: leave it out"),
        (
            "train toy --evaluation.random-episodes -1",
            "evaluation.random_episodes must not be negative, got -1",
        ),
        ("train toy --rounds.count 0", "rounds.count must be at least 1, got 0"),
        (
            "train toy --rounds.generations 3 0",
            "rounds.generations must be at least 1 in every round, got (3, 0)",
        ),
        ("train toy --rounds.vision-steps 5 --rounds.memory-steps 5 0", "round 1 trains V and not M"),
        ("train toy --mdn-rnn.hidden-size 0", "mdn_rnn.hidden_size must be at least 1, got 0"),
        ("train toy --mdn-rnn.no-predicts-end", "mdn_rnn.predicts_end must be true"),
        ("train toy --memory.sequence-length 0", "memory.sequence_length must be at least 1, got 0"),
        ("train toy --memory.end-positive-weight 0", "memory.end_positive_weight must be above 0, got 0.0"),
        ("train toy --memory.reward-clip -1", "memory.reward_clip must be above 0, got -1.0"),
        ("train toy --memory.end-weight nan", "memory.end_weight must not be negative, got nan"),
        ("train toy --memory.clip 0", "clip must be above 0, or none, got 0.0"),
        ("train toy --vision.salience -1", "vision.salience must not be negative, got -1.0"),
        ("train toy --vae.latent-size 0", "latent_size must be at least 1, got 0"),
        ("train toy --evolution.sigma -1", "evolution needs sigma > 0"),
        ("train toy --memory.learning-rate nan", "learning rates must fall"),
        ("train toy --controller.features zx", "features must be one of z, zh, zch, got 'zx'"),
        ("train toy --dream.temperature 0", "dream.temperature must be a positive number, got 0.0"),
        ("train toy --save-every nan", "save_every must not be negative, got nan"),
        ("train toy --backend box", "There is no backend 'box'; type --backend followed by one of auto"),
        (
            "train toy --backend envpool",
            "toy is played in this process and has no backends: leave out --backend",
        ),
        ("train toy --device tpu", "invalid choice 'tpu' for argument '--device'"),
        ("train pretrained:toy", "there is no game 'pretrained:toy'"),
        ("train toy --run pretrained:toy", "no weights are released yet"),
        ("collect", "Missing from worldmodels collect: RUN"),
        ("memory RUN", "RUN is not a run folder; begin one with `worldmodels train car-racing --run RUN`"),
        ("evaluate RUN", "RUN is not a run folder; begin one with"),
        (
            "evaluate pretrained:car-racing",
            "no weights are released yet; train your own with `worldmodels train",
        ),
        ("evaluate RUN --wrold dream", "Perhaps you meant: --world"),
        ("evaluate RUN --world moon", "invalid choice 'moon' for argument '--world'"),
        ("evaluate RUN --episodes 0", "--episodes must be at least 1, got 0"),
        ("evaluate RUN --seed -1", "--seed must not be negative, got -1"),
        ("evaluate RUN --temperature 1.1", "--temperature belongs to the dream; add --world dream"),
        ("evaluate RUN --world dream --temperature 0", "--temperature must be a positive number, got 0.0"),
        ("evaluate RUN --world dream --temperature nan", "--temperature must be a positive number, got nan"),
        ("evolve RUN --temperature 0.1", "RUN is not a run folder; begin one with"),
        (
            "evolve RUN --episodes 3",
            "--generations, --episodes and --seed are those of another C; add --temperature T",
        ),
        ("sweep", "Missing from worldmodels sweep: GAME|RUN"),
        ("sweep tyo", "tyo is neither a game (car-racing, "),
        (
            "sweep toy",
            "runs/toy has no run of toy yet: train one with `worldmodels train toy --run runs/toy`",
        ),
        ("sweep toy --run x", "x has no run of toy yet: train one with `worldmodels train toy --run x`"),
        ("sweep RUN --run x", "--run x goes with a game, and RUN is none of car-racing, "),
        ("sweep pretrained:car-racing", "no weights are released yet"),
        (
            "sweep toy --temperatures 0.1,warm",
            "--temperatures takes numbers between commas, as in 0.1,0.5,1.0",
        ),
        ("sweep toy --temperatures ,", "--temperatures needs at least one, as in --temperatures 0.1,0.5"),
        ("sweep toy --temperatures 1,1.0", "--temperatures names 1.00 twice; leave one of them out"),
        ("sweep toy --temperatures 0", "--temperatures must be a positive number, got 0.0"),
        ("sweep toy --temperatures nan", "--temperatures must be a positive number, got nan"),
        ("sweep toy --temperatures 0.105", "--temperatures goes in steps of 0.01 here, got 0.105"),
        ("ablate", "Missing from worldmodels ablate: RUN"),
        ("ablate RUN", "RUN is not a run folder; begin one with"),
        ("ablate pretrained:car-racing", "no weights are released yet"),
        (
            "ablate RUN --features z,zx",
            "--features takes z, z-hidden, zh, zh-untrained, zch, zch-untrained, with commas between them, got 'zx'",
        ),
        ("ablate RUN --features z,zh,z", "--features names z twice; leave one of them out"),
        ("ablate RUN --features ,", "--features needs at least one, as in --features z,z-hidden"),
        ("ablate RUN --seeds 0", "--seeds must be at least 1, got 0"),
        ("ablate RUN --generations 0", "--generations must be at least 1, got 0"),
        ("ablate RUN --population 3", "--population must be at least 4, got 3"),
        ("ablate RUN --repeats 0", "--repeats must be at least 1, got 0"),
        ("ablate RUN --horizon 0", "--horizon must be at least 1, got 0"),
        ("ablate RUN --episodes 0", "--episodes must be at least 1, got 0"),
        ("train toy --controller.hidden -1", "controller.hidden must be 0 (no hidden layer) or more, got -1"),
        ("sweep toy --seeds 0", "--seeds must be at least 1, got 0"),
        ("sweep toy --episodes 0", "--episodes must be at least 1, got 0"),
        ("sweep toy --meter -1", "--meter must be 0 (no meter) or more, got -1"),
        ("sweep toy --temperature 1", "Perhaps you meant: --temperatures"),
        ("train toy --evolution.select-actual", "select_actual needs a meter"),
        ("release RUN --name mine --out shelf", "RUN is not a run folder; begin one with"),
        ("release RUN --name mine", "--out DIR"),
        ("dream RUN", "--out FILE"),
        (
            "evaluate RUN --world dream --backend envpool",
            "--backend belongs to the actual game; add --world actual",
        ),
        ("dream RUN --out film.avi", "--out must end in .mp4 or .gif, got film.avi"),
        ("dream RUN --out film.mp4 --steps 0", "--steps must be at least 1, got 0"),
        ("dream RUN --out film.mp4 --temperature inf", "--temperature must be a positive number, got inf"),
        ("play RUN --port 0", "RUN is not a run folder; begin one with"),
        ("play RUN --port 70000", "--port must lie between 0 and 65535, got 70000"),
        (
            "play RUN --port 0 --host 192.0.2.1",
            "--host 192.0.2.1 is no address of this machine; leave it out",
        ),
        ("report RUN", "RUN is not a run folder; begin one with `worldmodels train car-racing`"),
    ],
)
def test_wrong_input_gets_one_sentence(arguments, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "PRETRAINED", tmp_path / "pretrained")
    code, said = say(capsys, *arguments.split())
    assert code == 2
    assert sentence in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []  # nothing was begun


@pytest.mark.parametrize("arguments", ["train toy", "evaluate ."])
def test_a_missing_gpu_is_named(arguments, capsys, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    if arguments.startswith("evaluate"):
        (tmp_path / "experiment.json").write_text('{"experiment": {"game": "toy"}}')
    code, said = say(capsys, *arguments.split(), "--device", "cuda")
    assert code == 2
    assert "--device cuda: PyTorch finds no GPU on this machine; leave --device out to use the CPU" in said
    assert not (tmp_path / "runs").exists()


def test_a_missing_envpool_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    monkeypatch.chdir(tmp_path)
    code, said = say(capsys, "train", "car-racing", "--backend", "envpool")
    assert code == 2
    assert "EnvPool cannot be imported on this machine" in said
    assert "Type --backend gymnasium" in said
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_file_of_something_else_is_left_alone(capsys, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    for place in (tmp_path, tmp_path / "diary.txt"):
        code, said = say(capsys, "train", "toy", "--run", str(place))
        assert code == 2
        assert f"{place} exists and is not a run folder; choose another --run" in said
        assert say(capsys, "evaluate", str(place))[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_a_beginning_that_was_killed_is_begun_again(tmp_path):
    for name in (".lock", "experiment.json.tmp"):
        (tmp_path / name).write_text("")
    work = begin(RunFolder(tmp_path), presets.preset("toy", "demo"), "cpu")
    assert work.run.experiment.exists()


def disk_is_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", disk_is_full)
    code, said = say(capsys, "train", "toy", "--run", str(tmp_path / "run"))
    assert code == 2
    assert "no space left to write" in said
    assert "free some space and run the same command again" in said


def test_a_full_disk_met_anywhere_else_is_named_too(capsys, monkeypatch):
    monkeypatch.setitem(cli.VERBS, "report", disk_is_full)
    code, said = say(capsys, "report", "RUN")
    assert code == 2
    assert said == "worldmodels: no space left on the disk; free some and run the same command again"


def test_a_read_only_place_is_named(capsys, tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, said = say(capsys, "train", "toy", "--run", str(tmp_path / "run"))
    assert code == 2
    assert f"{tmp_path}/run/.lock cannot be written (Permission denied)" in said
