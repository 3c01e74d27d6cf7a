"""How much of the actual game a run has played: everything from which a part of it has learnt."""

from __future__ import annotations

from worldmodels.errors import UserError
from worldmodels.pipeline.start import frames_at_start
from worldmodels.pipeline.work import Work
from worldmodels.runs.checkpoint import load_checkpoint
from worldmodels.runs.files import read_json
from worldmodels.runs.folder import command_for


def count_frames(work: Work, round: int) -> int:
    """Steps of the actual game played for the rollouts of rounds 0..round, and to evolve the Cs that played them.

    Those that made what the run began at count too.

    What was played before this round stands in the record of the one before: its episodes may have been deleted.
    """
    store = work.store(round)
    if round == 0 and work.experiment.collect.takes_games:
        return frames_at_start(work)  # its games are those of the start
    played = sum(store.game_steps(index) for index in store.indices())
    if round == 0:
        played += frames_at_start(work)
    else:
        path = work.run.collected(round - 1)
        record = read_json(path)
        before = record.get("game_steps") if isinstance(record, dict) else None
        if not isinstance(before, int):
            raise UserError(
                f"{path} does not say how much was played; delete it and run `{command_for(path)}`"
            )
        played += before + evolution_steps(work, round - 1)
    return played


def evolution_steps(work: Work, round: int) -> int:
    """Steps of the actual game in which a round's C was evolved; 0 where that was a dream."""
    progress = load_checkpoint(work.run.controller(round), kind="controller").progress
    return int(progress.get("game_steps", 0))
