"""The reader takes what is there, and nothing that is not there or strange stops it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from worldmodels.report.data import read_run
from worldmodels.report.lenient import number, numbers, whole
from worldmodels.runs.folder import RunFolder


def test_a_finished_run(finished):
    run = read_run(finished)
    assert run.game == "car-racing"
    assert run.best_round == 1
    assert run.scores["actual"].mean == 297.4
    assert run.scores["actual"].scores == (120.0, 480.0, -20.5, 610.0)
    assert run.scores.keys() == {"actual", "random"}
    assert run.frames == 12_000, "with those of the episodes that chose the best"
    assert [(r.number, r.game_steps, r.per_1000_steps, r.disturbed) for r in run.rounds] == [
        (0, 5000, 200.0, 150.0),
        (1, 10000, 200.0, 150.0),
    ]
    assert [(stage.name, stage.round, stage.rate) for stage in run.stages] == [
        ("vision", 0, 640.0),
        ("vision", 1, 640.0),
    ]
    assert run.unreadable == []


def test_rounds_are_put_end_to_end(finished):
    curves = read_run(finished).curves["evolve"]
    np.testing.assert_array_equal(curves.x, np.arange(20))
    assert curves.ends == {0: 10.0, 1: 20.0}
    np.testing.assert_array_equal(curves.values["best"], np.tile(9.0 + np.arange(10), 2))


def test_a_round_learns_where_and_how_its_settings_say_and_the_last_entry_holds_on(finished):
    run = read_run(finished)
    assert (run.in_the_game, run.by_gradient) == (frozenset(), frozenset())
    content = json.loads(finished.experiment.read_text())
    content["experiment"]["rounds"] |= {"worlds": ["dream", "actual"], "searches": ["auto", "gradient"]}
    finished.experiment.write_text(json.dumps(content))
    run = read_run(finished)
    assert (run.searched, run.in_the_game, run.by_gradient) == ({0, 1}, {1}, {1})
    np.testing.assert_array_equal(run.curves["evolve"].rounds, np.repeat([0, 1], 10))
    content["experiment"]["rounds"] |= {"worlds": ["actual"], "searches": []}
    content["experiment"]["evolution"] = {"search": "gradient"}
    finished.experiment.write_text(json.dumps(content))
    run = read_run(finished)
    assert run.in_the_game == run.by_gradient == {0, 1}


def test_an_empty_folder(tmp_path):
    run = read_run(RunFolder(tmp_path))
    assert (run.game, run.best_round, run.curves, run.scores) == (None, None, {}, {})
    assert (list(run.rounds), list(run.stages), run.unreadable) == ([], [], [])


def test_torn_files_are_named_and_left_out(finished):
    finished.experiment.write_text('{"experiment": {"ga')
    finished.evaluation("round-01").write_bytes(b"\xff\xfe")
    finished.metrics("memory-00").write_text('{"step": 1, "nll": 2.0}\nnot json\n{"step": 2}\n')
    with finished.metrics("stages").open("a") as file:
        file.write('{"stage": "mem')
    run = read_run(finished)
    assert run.settings == {}
    assert list(run.curves["memory"].ends) == [1]
    assert len(run.stages) == 2
    text = "\n".join(run.unreadable)
    assert len(run.unreadable) == 4
    for name in ("experiment.json", "round-01.json", "memory-00.jsonl", "stages.jsonl"):
        assert name in text


STRANGE = [None, "text", [], {}, True, [1, "two", None], {"mean": {}}, 10**400]


@pytest.mark.parametrize("strange", STRANGE, ids=lambda value: str(value)[:20])
def test_values_of_another_type_count_as_missing(finished, strange):
    names = [finished.experiment, finished.best_controller]
    names += [finished.evaluation(name) for name in ("actual", "random", "round-00", "round-01")]
    for path in names:
        content = json.loads(path.read_text())
        path.write_text(json.dumps(strange))
        read_run(finished)
        path.write_text(json.dumps(dict.fromkeys(content, strange)))
        read_run(finished)
    for log in ("vision-00", "memory-01", "evolve-00", "stages"):
        keys = json.loads(finished.metrics(log).read_text().splitlines()[0])
        finished.metrics(log).write_text(
            f"{json.dumps(strange)}\n{json.dumps(dict.fromkeys(keys, strange))}\n"
        )
    run = read_run(finished)
    assert run.best_round is None
    assert run.scores == {}


def test_numbers():
    assert [number(x) for x in (3, 2.5, True, "3", None, math.inf, math.nan, 10**400)] == [3, 2.5] + 6 * [
        None
    ]
    assert numbers([1, "x", None, 2.5]) == (1.0, 2.5)
    assert numbers("12") == ()
    assert (whole(3.0), whole(None)) == (3, None)
