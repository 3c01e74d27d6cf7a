"""README.md of a release, from the run's own files: what the weights are, how they were made, what they score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worldmodels.pipeline.start import taken
from worldmodels.pipeline.work import Parts
from worldmodels.report.data import Round, RunData, Scores, read_run, scores
from worldmodels.report.lenient import mapping, whole
from worldmodels.report.page import ANY_GAME, GAMES
from worldmodels.report.wording import count, duration, not_by_dreams_alone, points
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import RunFolder

CARD = """\
# {name}

V, M and C of a world model (Ha & Schmidhuber, 2018) of the game {game}: V sees, M dreams, C acts.

![Frames of the actual game](examples.png)

```
worldmodels evaluate pretrained:{name} --world actual --episodes 100 --seed 7
worldmodels dream pretrained:{name} --out dream.mp4
```

The path of this folder does in the place of `pretrained:{name}`.

## Scores

| | mean ± standard deviation | standard error | episodes | played |
|---|---|---|---|---|
{scores}

Whole episodes on seeds that nothing else in the run has seen. Scores are {unit}; {pay}, and a
tick of it is {repeat} of the game. The scores were measured by the run, in single precision. V and M were rounded to
half precision afterwards, for this folder; C was not.

## How it was made

- Command: `{command}`
- Seed {seed}; preset `{preset}`; the C of round {round}{members}{chosen} {rounds} rounds.
- Data: {frames} of the actual game, played by a random policy and then by the run's own C{backend}.
  No demonstrations, no other data.{start}{selected}
- Time: {time} for the whole run, on {machine}.
- Versions: {versions}. Commit {commit}.

Settings, all of which stand in experiment.json: {settings}.

## Files

| file | holds | numbers | SHA-256 of the content begins |
|---|---|---|---|
{files}

M's numbers hold the second bias of PyTorch's LSTM, zeros that are not trained. M names the V that it belongs to, and C
both: others do not load. starts.safetensors holds the moments at which dreams
begin, as there are no rollouts here, and examples.png some frames as V sees them. Nothing in here can run code.

## Licence

MIT, as the code that made it.
"""


def model_card(run: RunFolder, made: RunFolder, name: str, parts: Parts) -> str:
    """The card for the release of `run` in the folder `made`, where all other files are already."""
    data = read_run(run)
    settings = data.settings
    chosen = next((entry for entry in data.rounds if entry.number == parts.round), None)
    backend = chosen.actual.facts.get("backend") if chosen and chosen.actual else None
    in_the_game = chosen and chosen.dream and chosen.dream.facts.get("game_steps")
    learnt_in = mapping(settings.get("evolution")).get("backend") if in_the_game else None
    return CARD.format(
        name=name,
        game=data.game,
        scores="\n".join(_score_rows(data, made, parts.round)),
        unit=GAMES.get(data.game or "", ANY_GAME).unit,
        pay=f"a dream pays {'what M predicts' if parts.memory.config.predicts_reward else '1 for each tick'}",
        repeat=_steps(settings),
        command=mapping(read_json(made.experiment)).get("command"),
        seed=settings.get("seed"),
        preset=settings.get("preset"),
        round=parts.round,
        members=_members(chosen),
        chosen=" was chosen among" if _tried(run) > 1 else ", the last of",
        rounds=mapping(settings.get("rounds")).get("count"),
        frames=f"{count(data.frames)} frames" if data.frames else "frames",
        backend=f" (backend {backend})" if backend else "",
        start=_start(run),
        selected="".join(f"\n- {sentence}" for sentence in not_by_dreams_alone([chosen] if chosen else []))
        + (f" They were played by {learnt_in}." if learnt_in else ""),
        time=duration(sum(stage.seconds or 0 for stage in data.stages) if data.stages else None),
        machine=_machine(mapping(data.experiment.get("machine"))),
        versions=", ".join(f"{k} {v}" for k, v in mapping(data.experiment.get("versions")).items()),
        commit=data.experiment.get("git_commit") or "unknown",
        settings=_settings(parts, settings),
        files="\n".join(_file_rows(made)),
    )


def _members(chosen: Round | None) -> str:
    members = whole(chosen.dream.facts.get("members")) if chosen and chosen.dream else None
    return f" (the mean of the Cs of {members} searches)" if members else ""


def _start(run: RunFolder) -> str:
    if not run.start_record.exists():
        return ""
    record = mapping(read_json(run.start_record))
    frames = count(whole(record.get("game_steps")) or 0)
    return (
        f"\n- It began at {taken(record)} of `{record.get('run')}`: {frames} of the frames are those, and the time "
        f"below is without theirs. They were made by `{record.get('command')}`."
    )


def _tried(run: RunFolder) -> int:
    """Rounds whose Cs were tried in the actual game before one was taken."""
    return len(mapping(read_json(run.best_controller)).get("candidates", []))


def _score_rows(data: RunData, made: RunFolder, round: int) -> list[str]:
    rows = [_row("actual game", data.scores.get("actual")), _row("its dream", data.scores.get("dream"))]
    rows.append(_row("random policy, actual game", data.scores.get("random")))
    for temperature in made.controllers_at(round):
        path = made.temperature_score(round, temperature)
        found = mapping(read_json(path)) if path.exists() else {}
        label = f"the C evolved at temperature {temperature:.2f}"
        rows.append(_row(f"{label}, actual game", scores(mapping(found.get("actual")))))
        rows.append(_row(f"{label}, its dream", scores(mapping(found.get("dream")))))
    return [row for row in rows if row]


def _row(label: str, score: Scores | None) -> str:
    if score is None:
        return ""
    played = score.facts.get("backend") or f"{score.facts.get('ticks')} ticks"
    if (temperature := score.facts.get("temperature")) is not None:
        played += f" at temperature {temperature:g}"
    return (
        f"| {label} | {points(score.mean)} ± {points(score.std)} | {points(score.standard_error)} "
        f"| {count(score.episodes)} | {played} |"
    )


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [f"{machine.get('cores')} cores of {machine.get('cpu')}", f"{machine.get('memory_gb')} GB"]
    return ", ".join([*parts, str(machine.get("gpu") or "no GPU")])


def _settings(parts: Parts, settings: Mapping[str, Any]) -> str:
    model = parts.memory.config
    return (
        f"{model.latent_size} latents, {model.hidden_size} LSTM units, {model.mixtures} Gaussians for each latent, C "
        f"sees {parts.config.features}; an action is held for {_steps(settings)}"
    )


def _steps(settings: Mapping[str, Any]) -> str:
    repeat = settings.get("action_repeat")
    return "1 step" if repeat == 1 else f"{repeat} steps"


def _file_rows(made: RunFolder) -> list[str]:
    rows = []
    for kind in ("vision", "memory", "controller"):
        for path in sorted((made.path / kind).glob("*.safetensors")):
            checkpoint = load_checkpoint(path, kind=kind)
            size = sum(tensor.numel() for tensor in checkpoint.weights.values())
            precision = str(next(iter(checkpoint.weights.values())).dtype).removeprefix("torch.")
            letter = {"vision": "V", "memory": "M", "controller": "C"}[kind]
            rows.append(
                f"| {kind}/{path.name} | {letter} | {size:,} × {precision} | `{checkpoint.sha256[:16]}` |"
            )
    return rows
