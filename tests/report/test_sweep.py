"""The sweep and the meter in the report: what is read, what is drawn, and that damage is no obstacle."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worldmodels.report.page import write_report
from worldmodels.report.published import TABLES
from worldmodels.report.sweep import read_sweep
from worldmodels.report.sweep_figures import meter_charts, temperature_chart
from worldmodels.runs.folder import RunFolder


def score(mean: float, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "std": 50.0, "standard_error": 5.0, "episodes": 100} | more


@pytest.fixture
def swept(tmp_path) -> RunFolder:
    """A run of Take Cover with a sweep of two temperatures, two seeds of the first, and a meter beside one."""
    run = RunFolder(tmp_path)
    cells = [
        {
            "temperature": tau,
            "evolution_seed": seed,
            "dream": score(dream, ticks=2100),
            "actual": score(actual),
        }
        for tau, seed, dream, actual in ((0.1, 0, 2000, 200), (0.1, 1, 2100, 180), (1.15, 0, 900, 1100))
    ]
    table = [
        {"temperature": 0.1, "seeds": 2, "dream": score(2050), "actual": score(190, error_over="seeds")},
        {"temperature": 1.15, "seeds": 1, "dream": score(900), "actual": score(1100)},
    ]
    contents = {
        run.experiment: {"experiment": {"game": "take-cover", "action_repeat": 1}},
        run.sweep: {"cells": cells, "table": table, "random": score(235), "round": 0},
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    for name in ("evolve-00-temperature-0.10", "evolve-00-temperature-0.10-seed-1", "evolve-00"):
        lines = [{"step": s, "dream": 100.0 * s, "actual": 200.0 - s, "actual_error": 3.0} for s in (5, 10)]
        path = run.metrics(f"meter-{name}")
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_rows_and_readings_are_read(swept):
    sweep = read_sweep(swept, [])
    assert sweep is not None
    cold, warm = sweep.rows
    assert (cold.temperature, cold.seeds, cold.dream.mean, cold.actual.mean) == (0.1, 2, 2050, 190)
    assert (cold.dream_means, cold.actual_means, warm.actual_means) == ([2000, 2100], [200, 180], [1100])
    assert sweep.random is not None
    assert (sweep.random.mean, sweep.ticks) == (235, 2100)
    assert [(r.temperature, r.seed) for r in sweep.readings] == [(None, 0), (0.1, 0), (0.1, 1)]
    assert sweep.readings[0].generations.tolist() == [5, 10]
    assert sweep.readings[0].actual.tolist() == [195, 190]


def test_charts_say_what_they_show(swept):
    sweep = read_sweep(swept, [])
    drawn = temperature_chart(sweep, 0.5, TABLES["take-cover"])
    assert drawn is not None
    assert (
        "temperature 0.10: dream 1,025, actual 190 ± 5; temperature 1.15: dream 450, actual 1,100 ± 5"
        in drawn
    )
    assert "the paper: dream" in drawn
    assert "random policy" in drawn
    assert "the paper" not in (temperature_chart(sweep, 1.0, ()) or "")
    own, cold = meter_charts(sweep, 1.0)  # both seeds of a temperature in one chart
    assert "the run’s own C, round 0: after 10 generations dream 1,000, actual 190 ± 3" in own
    assert "temperature 0.10: after 10 generations" in cold
    assert (temperature_chart(None, 1.0, ()), meter_charts(None, 1.0)) == (None, [])


def test_the_page_has_the_table_beside_the_papers(swept):
    page = write_report(swept).read_text()
    assert "<h2>Cheating the dream</h2>" in page
    row = page.split('<th scope="row">the paper, 1.15</th>')[1].split("</tr>")[0]
    assert [cell.split("</td>")[0] for cell in row.split("<td>")[1:]] == ["918", "546", "1,092", "556", "–"]
    assert "the authors’ released weights" in page
    assert page.count("<figure") >= 3


def test_the_meter_alone_is_enough_for_a_section(swept):
    swept.sweep.unlink()
    page = write_report(swept).read_text()
    assert "The meter: both scores while C evolves" in page
    assert "Table of temperatures" not in page
    for path in swept.metrics("x").parent.iterdir():
        path.unlink()
    assert "Cheating the dream" not in write_report(swept).read_text()


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"table": [3, {}, {"temperature": "x"}]}',
        '{"table": [{"temperature": 1, "dream": {"mean": 1}}]}',
    ],
)
def test_damage_is_no_obstacle(swept, content):
    swept.sweep.write_text(content)
    swept.metrics("meter-evolve-00").write_text("{\n")
    swept.metrics("meter-evolve-00-temperature-0.10").write_text('{"step": 1, "dream": null}\n')
    page = write_report(swept).read_text()
    assert "has a line that is not JSON" in page
    assert "Table of temperatures" not in page


def test_the_page_says_when_actual_episodes_chose_c(swept):
    chosen = {"generation": 40, "candidates": 8, "actual_episodes": 128}
    content = {"round": 0, "dream": score(900, selected=chosen)}
    swept.evaluation("round-00").write_text(json.dumps(content))
    said = "The C of round 0 is the mean of generation 40: 128 episodes of the actual game chose it among 8 means."
    assert said in write_report(swept).read_text()
