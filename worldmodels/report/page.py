"""The report: one self-contained page about a run, written from its json, jsonl and media."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from worldmodels.errors import UserError
from worldmodels.report import ablation_figures, figures, learning_figures, sweep_figures, wording
from worldmodels.report.ablation import read_ablation
from worldmodels.report.data import RunData, Scores, read_run, stage_totals
from worldmodels.report.lenient import mapping, number
from worldmodels.report.published import FEATURES, TABLES
from worldmodels.report.sweep import Sweep, read_sweep
from worldmodels.runs.files import write_atomically
from worldmodels.runs.folder import RunFolder

# In the order of their importance: where they are too large together, the last ones stay outside.
MEDIA = ("drive.mp4", "comparison.mp4", "strip.png", "reconstructions.png", "samples.png", "dream.mp4")
SWEEP_MEDIA = ("cheating.mp4", "honest.mp4")  # after all others
LARGEST = 9_000_000  # bytes of media in the page, as base64; the page shall stay below 10 MB
MIME = {".png": "image/png", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class KnownGame:
    """What the report knows about a game that the run folder does not say."""

    title: str = "Learning to act inside a dream"
    score: str = "mean score"
    unit: str = "points"
    paper: figures.Reference | None = None  # ± standard deviation
    paper_note: str = ""  # how that agent came to be, and what its ± is
    episode_steps: int | None = None  # of a scored episode, where that is a fixed number


ANY_GAME = KnownGame()
GAMES = {
    "car-racing": KnownGame(
        "Learning to drive inside a dream",
        paper=figures.Reference("the paper’s agent", 906, 21),
        paper_note="The paper’s agent was evolved in the actual game, not in a dream; its ± 21 is the standard "
        "deviation of 100 episodes of CarRacing-v0.",
        episode_steps=1000,
    ),
    "take-cover": KnownGame(
        "Learning to dodge inside a dream",
        "tics survived (1/35 second each, 2,100 at most), on average,",
        "tics survived",
        figures.Reference("the paper’s agent", 1092, 556),
        "The paper’s agent was evolved in a dream too, at temperature 1.15; its ± 556 is the standard deviation of 100 "
        "episodes of DoomTakeCover-v0. The game counts as solved at 750.",
    ),
}


@dataclass(frozen=True)
class Media:
    """A picture or video of the run: `uri` holds all of it; empty where there is none, or none that fits."""

    name: str
    uri: str = ""
    left_out: str = ""  # why it is not in the page although there is one


def write_report(run: RunFolder) -> Path:
    """Write report.html for whatever the run folder holds, all or nothing, and return its path.

    A part that is missing is named with the command that makes it. Raises UserError when there is no run
    folder, or when the page cannot be written.
    """
    if not run.path.is_dir():
        raise UserError(
            f"{run.path} is no run folder; make one with `worldmodels train car-racing --run {run.path}`"
        )
    page = render(read_run(run))
    write_atomically(run.report, page.encode(errors="replace"))  # half a surrogate pair has no UTF-8
    return run.report


def render(run: RunData) -> str:
    """The page as text."""
    files = resources.files("worldmodels.report")
    environment = Environment(
        loader=FunctionLoader(lambda name: (files / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    unreadable = list(run.unreadable)
    game, sweep = GAMES.get(run.game or "", ANY_GAME), read_sweep(run.folder, unreadable)
    published, scale = TABLES.get(run.game or "", ()), _dream_scale(run, sweep, game)
    ablation, published_features = read_ablation(run.folder, unreadable), FEATURES.get(run.game or "", {})
    charts = {
        "temperatures": sweep_figures.temperature_chart(sweep, scale, published),
        "ablation": ablation_figures.ablation_chart(ablation, published_features),
    }
    names = ("points", "mean_and_error", "count", "duration", "rate", "memory")
    environment.filters |= {name: getattr(wording, name) for name in names}
    return environment.get_template("page.html").render(
        run=run,
        style=Markup((files / "page.css").read_text(encoding="utf-8")),
        game=game,
        pays=mapping(run.settings.get("mdn_rnn")).get("predicts_reward") is not False,
        sweep=sweep,
        published=published,
        ablation=ablation,
        published_features=published_features,
        dream_scale=scale,
        meters=sweep_figures.meter_charts(sweep, scale),
        unreadable=unreadable,
        tried=wording.tried(run),
        not_by_dreams_alone=wording.not_by_dreams_alone(run.rounds),
        command=lambda part: wording.command(run, part),
        charts=_charts(run) | charts,
        media=_media(run.folder),
        facts=_facts(run),
        tables=_tables(run),
        stages=stage_totals(run.stages),
    )


def _dream_scale(run: RunData, sweep: Sweep | None, game: KnownGame) -> float:
    """Factor that makes dream scores of the sweep comparable with whole episodes, where those have a fixed length."""
    repeat, ticks = number(run.settings.get("action_repeat")), sweep.ticks if sweep else None
    return game.episode_steps / (ticks * repeat) if game.episode_steps and ticks and repeat else 1.0


def _charts(run: RunData) -> dict[str, Markup | None]:
    vision, memory = run.curves.get("vision"), run.curves.get("memory")
    game = GAMES.get(run.game or "", ANY_GAME)
    evolve = run.curves.get("evolve")
    scale, unit = learning_figures.fitness_scale(evolve, run.settings, game.episode_steps)
    return {
        "ladder": figures.score_ladder(_ladder(run, game)),
        "reconstruction": learning_figures.loss_curve(
            vision, "reconstruction", "Squared error of V's reconstructions during training.", log=True
        ),
        "kl": learning_figures.loss_curve(
            vision, "kl", "KL divergence of V's latents from the prior during training."
        ),
        "nll": learning_figures.loss_curve(
            memory, "nll", "Negative log-likelihood of the next latent during training of M.", width=300
        ),
        "reward": learning_figures.loss_curve(
            memory, "reward", "Error of M's expected reward during training.", log=True, width=300
        ),
        "end": learning_figures.loss_curve(
            memory, "end", "Cross-entropy of M's expectation of the end.", log=True, width=300
        ),
        "evolution": learning_figures.evolution_curve(evolve, run.rounds, scale, unit, run.in_the_game),
        "histogram": figures.histogram(run.scores.get("actual"), run.scores.get("random")),
        "gap": figures.dream_against_actual(run.rounds, game.episode_steps),
    }


def _ladder(run: RunData, game: KnownGame) -> list[tuple[str, Scores | figures.Reference]]:
    rows: list[tuple[str, Scores | figures.Reference]] = []
    if "actual" in run.scores:
        rows.append(("this run", run.scores["actual"]))
        if "random" in run.scores:
            rows.append(("random policy", run.scores["random"]))
        if game.paper:
            rows.append((game.paper.label, game.paper))
    return rows


def _media(folder: RunFolder) -> dict[str, Media]:
    """Pictures and videos as data URIs, as many as there is room for."""
    found, room = {}, LARGEST
    for name in (*MEDIA, *SWEEP_MEDIA):
        path = folder.media(name)
        try:
            data = path.read_bytes()
        except OSError:
            found[name] = Media(name)
            continue
        uri = f"data:{MIME[path.suffix]};base64,{base64.b64encode(data).decode()}"
        if len(uri) > room:
            found[name] = Media(
                name, left_out=f"{path} has {len(data) / 1e6:.0f} MB, too many for this page."
            )
            continue
        room -= len(uri)
        found[name] = Media(name, uri)
    return found


def _facts(run: RunData) -> list[tuple[str, str]]:
    """What the run took, in a few numbers: those that are known."""
    seconds = [stage.seconds for stage in run.stages if stage.seconds is not None]
    memory = [stage.peak_memory_mb for stage in run.stages if stage.peak_memory_mb is not None]
    evolve = run.curves.get("evolve")
    rounds = () if evolve is None else evolve.rounds.tolist()
    played = sum(run.searches_of(round) for round in rounds if round in run.in_the_game)
    dreamt = sum(run.searches_of(round) for round in rounds if round not in run.in_the_game)
    facts = [
        ("steps of the actual game", wording.count(run.frames) if run.frames else None),
        ("generations in the dream", wording.count(dreamt) if dreamt else None),
        ("generations in the game", wording.count(played) if played else None),
        ("from nothing to here", wording.duration(sum(seconds)) if seconds else None),
        ("memory at most", wording.memory(max(memory)) if memory else None),
    ]
    return [(label, value) for label, value in facts if value is not None]


def _tables(run: RunData) -> dict[str, Sequence[tuple[str, str]]]:
    """Name and value pairs, every value as text."""
    about = {
        key: run.experiment[key] for key in ("started", "command", "git_commit") if run.experiment.get(key)
    }
    return {
        "about": list(wording.flat(about)),
        "settings": list(wording.flat(run.settings)),
        "versions": list(wording.flat(mapping(run.experiment.get("versions")))),
        "machine": list(wording.flat(mapping(run.experiment.get("machine")))),
    }
