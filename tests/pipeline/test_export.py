"""`worldmodels export` of a run that was trained: the command, and graphs of other shapes than the paper's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldmodels.cli import main
from worldmodels.export.graphs import TICK_INPUTS
from worldmodels.export.runtime import FILES, VERSION
from worldmodels.pipeline.play import play_model
from worldmodels.runs.folder import RunFolder
from worldmodels.vision.vae import frames


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Looks like an unpacked onnxruntime-web."""
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "onnxruntime-web", "version": VERSION}))
    for source in FILES.values():
        (folder / source).write_bytes(b"-")
    return folder


def test_a_toy_run_becomes_a_page(toy_run, package, tmp_path, capsys):
    ort: Any = pytest.importorskip("onnxruntime")
    out = tmp_path / "site"
    assert main(["export", str(toy_run), "--out", str(out), "--runtime", str(package)]) == 0
    said = capsys.readouterr().out
    assert f"python -m http.server -d {out} 8000" in said
    assert "for any static host" in said

    model = play_model(RunFolder(toy_run), "cpu")
    told = json.loads((out / "model" / "model.json").read_bytes())
    assert told["hello"]["game"] == "toy"
    assert told["hash"] == model.memory_hash[:16]
    painter = ort.InferenceSession(str(out / "model" / "vision.onnx"))
    (drawn,) = painter.run(None, {"z": model.starts.mu[:1].numpy()})
    wanted = frames(model.vision.decode(model.starts.mu[:1])).numpy()
    assert np.abs(drawn.astype(int) - wanted.astype(int)).max() <= 1
    ticker = ort.InferenceSession(str(out / "model" / "memory.onnx"))
    shapes = {
        "z": model.latent_size,
        "uniform": model.latent_size,
        "action": 1,
        "h": 16,
        "c": 16,
        "temperature": 1,
    }
    assert {value.name: value.shape for value in ticker.get_inputs()} == {
        name: [1, shapes[name]] for name in TICK_INPUTS
    }


def test_a_folder_that_is_no_run_is_named(package, tmp_path, capsys):
    code = main(["export", str(tmp_path), "--out", str(tmp_path / "site"), "--runtime", str(package)])
    assert code == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_another_folder_is_named_before_the_work_begins(tmp_path, capsys):
    assert main(["export", str(tmp_path / "none"), "--out", __file__]) == 2
    assert "exists and is no folder" in capsys.readouterr().err
