"""What C needs, in the report: what is read, what is drawn, and that damage is no obstacle."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from worldmodels.report.ablation import read_ablation
from worldmodels.report.ablation_figures import MOST_DOTS, ablation_chart, shown
from worldmodels.report.page import write_report
from worldmodels.report.published import FEATURES
from worldmodels.runs.folder import RunFolder


def score(mean: float, **more: Any) -> dict[str, Any]:
    return {"mean": mean, "std": 50.0, "standard_error": 5.0, "episodes": 2} | more


@pytest.fixture
def ablated(tmp_path) -> RunFolder:
    """A run of CarRacing with an ablation of two kinds, two seeds of the first."""
    run = RunFolder(tmp_path)
    cells = [
        {"features": kind, "evolution_seed": seed, "actual": score(mean, scores=[mean - 1, mean + 1])}
        for kind, seed, mean in (("z", 0, 600), ("z", 1, 640), ("zh-untrained", 0, 880))
    ]
    table = [
        {"features": "z", "seeds": 2, "actual": score(620), "game_steps": 912_345},
        {"features": "zh-untrained", "seeds": 1, "actual": score(880), "game_steps": 1_000_000},
    ]
    budget = {"generations": 30, "population": 64, "repeats": 1, "horizon": 250}
    contents = {
        run.experiment: {"experiment": {"game": "car-racing", "action_repeat": 4}},
        run.ablation: {"cells": cells, "table": table, "round": 0, **budget},
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return run


def test_rows_are_read(ablated):
    found = read_ablation(ablated, [])
    assert found is not None
    z, untrained = found.rows
    assert (z.features, z.seeds, z.actual.mean, z.game_steps) == ("z", 2, 620, 912_345)
    assert (list(z.means), list(z.episodes)) == ([600, 640], [599, 601, 639, 641])
    assert list(untrained.means) == [880]
    assert found.budget == {"generations": 30, "population": 64, "repeats": 1, "horizon": 250}


def test_the_chart_says_what_it_shows(ablated):
    found = read_ablation(ablated, [])
    drawn = ablation_chart(found, FEATURES["car-racing"])
    assert drawn is not None
    assert "z alone: 620; z and h, untrained M: 880" in drawn
    assert "z alone, 620 ± 5" in drawn
    assert "the paper" in drawn
    assert "the paper" not in (ablation_chart(found, {}) or "")
    assert ablation_chart(None, {}) is None


@pytest.mark.parametrize("count", [0, 7, 5000])
def test_no_strip_has_too_many_dots_and_all_have_the_same_spread(count: int):
    episodes = np.random.default_rng(0).normal(size=count)
    dots = shown(episodes.tolist())
    assert len(dots) == min(count, MOST_DOTS)
    if count:
        assert np.allclose(
            np.quantile(dots, [0.1, 0.5, 0.9]), np.quantile(episodes, [0.1, 0.5, 0.9]), atol=0.05
        )
    if count > MOST_DOTS:
        assert abs(np.corrcoef(dots, np.arange(MOST_DOTS) * 0.618034 % 1)[0, 1]) < 0.2, "spread at random"


def test_the_page_has_the_table_beside_the_papers(ablated):
    page = write_report(ablated).read_text()
    assert "<h2>What C needs</h2>" in page
    assert "30 generations of 64 individuals" in page
    rows = [
        page.split(f'<th scope="row">{label}</th>')[1].split("</tr>")[0]
        for label in ("z alone", "z and h, untrained M")
    ]
    cells = [[cell.split("</td>")[0] for cell in row.split("<td>")[1:]] for row in rows]
    assert cells == [
        ["620 ± 5", "50", "2", "912,345", "632", "251"],
        ["880 ± 5", "50", "1", "1,000,000", "–", "–"],
    ]


def test_a_game_that_the_paper_has_no_such_table_of_stands_alone(ablated):
    ablated.experiment.write_text(json.dumps({"experiment": {"game": "toy"}}))
    page = write_report(ablated).read_text()
    section = page.split("<h2>What C needs</h2>")[1].split("</section>")[0]
    assert '<th scope="col">the paper' not in section
    assert "Hollow squares" not in section
    assert "912,345" in section


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("[]", False),
        ("{", False),
        ('{"table": [3, {}, {"features": "z"}, {"features": 3, "actual": {"mean": 1}}]}', False),
        (
            '{"table": [{"features": "zx", "actual": {"mean": 1}}], "cells": [5, {"features": "zx", "actual": 7}]}',
            True,
        ),
    ],
)
def test_damage_is_no_obstacle(ablated, content: str, read: bool):
    ablated.ablation.write_text(content)
    page = write_report(ablated).read_text()
    assert ("<h2>What C needs</h2>" in page) == read
    assert ("ablation.json" in page) == (content == "{")
    ablated.ablation.unlink()
    assert "What C needs" not in write_report(ablated).read_text()
