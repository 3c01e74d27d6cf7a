"""The verb that takes from C what it sees: ablate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from worldmodels.runs.pretrained import run_folder
from worldmodels.verbs.arguments import Device, Run, folder_for, number, parse


def ablate(arguments: Sequence[str]) -> None:
    """Evolve Cs that see more or less of V and M in the actual game, and score each there.

    z: what V sees alone. z-hidden: the same through a hidden layer of 40 units. zh: with M's memory, as the paper's C.
    zh-untrained: with that of an M with random weights. (zch and zch-untrained: with M's cell too, as in Take Cover.)
    V and M are those of a trained run, and its own C stays as it is. All have the same budget and the same tracks, and
    no dream is used: episodes end after 25 ticks without a positive reward, or after evolution.patience of the run.
    With --search gradient they learn by policy gradient instead, which comes further in as many steps of the game.
    Run it again to go on; Cs that are there are not evolved again.

    Examples:
      worldmodels ablate runs/demo
      worldmodels ablate runs/demo --features z,zh --seeds 3      three evolutions of each
      worldmodels ablate runs/demo --generations 100 --population 32 --horizon 500
      worldmodels ablate runs/demo --search gradient --generations 60      of 32 episodes each
      worldmodels ablate runs/demo --search gradient --learning-rate 1e-4 --features zh
      worldmodels ablate pretrained:car-racing-demo              in a copy, runs/pretrained-car-racing-demo
    """

    def command(
        run: Run,
        features: Annotated[
            str | None,
            tyro.conf.arg(
                metavar="KIND,...",
                help="which Cs",
                help_behavior_hint="(default: z, z-hidden, and the run's own with M trained and untrained)",
            ),
        ] = None,
        search: Annotated[
            str | None,
            tyro.conf.arg(
                metavar="evolution|gradient", help="how", help_behavior_hint="(default: evolution)"
            ),
        ] = None,
        seeds: Annotated[int, tyro.conf.arg(metavar="N", help="evolutions of each")] = 1,
        generations: Annotated[int | None, number("of each evolution", "30")] = None,
        population: Annotated[int | None, number("individuals of a generation", "as in the run")] = None,
        repeats: Annotated[
            int | None, number("episodes of each individual", "1; by gradient gradient.games")
        ] = None,
        horizon: Annotated[
            int | None, number("ticks of an episode of an evolution, at most", "a whole episode")
        ] = None,
        learning_rate: Annotated[
            float | None,
            tyro.conf.arg(
                metavar="RATE",
                help="of C where it learns by gradient; what sees more bears a lower one",
                help_behavior_hint="(default: gradient.learning_rate of the run)",
            ),
        ] = None,
        episodes: Annotated[
            int | None, number("of the actual game, to score each C: the same for all", "100")
        ] = None,
        folder: Annotated[
            str | None,
            folder_for(
                "where a release is copied to: Cs of another budget go elsewhere", "runs/pretrained-NAME"
            ),
        ] = None,
        device: Device = "auto",
    ) -> None:
        from worldmodels.pipeline.ablation import AblationConfig, as_text
        from worldmodels.pipeline.ablation import ablate as ablate_run
        from worldmodels.pipeline.copying import at_work
        from worldmodels.pipeline.work import open_run

        asked = AblationConfig(
            features=None if features is None else tuple(filter(None, map(str.strip, features.split(",")))),
            search=search,
            seeds=seeds,
            generations=generations,
            population=population,
            repeats=repeats,
            horizon=horizon,
            learning_rate=learning_rate,
            episodes=episodes,
        )
        chosen = at_work(run_folder(run), Path(folder) if folder else None)
        print(as_text(ablate_run(open_run(chosen, device), asked)))

    parse(ablate, command, arguments)
