"""What the page says of each game, so that nobody is told to drive where there is no car."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from worldmodels.envs.game import GameSpec


@dataclass(frozen=True)
class Words:
    """The sentences in which one game differs from another. The defaults do for any game."""

    you: str = "You play"  # on the switch between the person and C
    controller: str = "C plays"
    hand_over: str = "let C play, or take over again"
    taken: str = "C plays; press any of these to take over"
    hint: str = ""  # what to try first; "": the first key and what it does
    fingers: str = "You are in it: use the pads"
    same_hands: str = (
        "The same keys move all three: the actual game, what V keeps of it, and a dream that left it at one moment and "
        "sees it no more."
    )
    one_controller: str = "One controller, playing in its own dream and in the actual game at once."
    gamepad: str = "A gamepad plays with its stick, its triggers and its cross."
    score: str = "Score"
    scored: str = "Scored"  # a controller, in its dream and in the game
    unit: str = ""  # of a score, behind the number
    digits: int = 1  # of a score, after the point
    end: str = "End"  # what M says the probability of
    end_at_length: str = "Probability that the dream ends now"
    dream_over: str = "The dream is over"
    game_over: str = "Game over"
    game_survived: str = "Game over"  # at the game's longest


ANY_GAME = Words()
WORDS = {
    "car-racing": Words(
        you="You drive",
        controller="C drives",
        hand_over="hand the wheel to C, or take it back",
        taken="C has the wheel; press any of these to take it back",
        hint="You have the wheel: hold ↑ for gas",
        fingers="You have the wheel: use the pads",
        same_hands="The same wheel turns all three: the actual game, what V keeps of it, and a dream that left it at "
        "one moment and sees it no more.",
        one_controller="One controller, driving in its own dream and in the actual game at once.",
        gamepad="A gamepad steers with its stick and drives with its triggers.",
    ),
    "take-cover": Words(
        hint="Dodge the fireballs: hold ← or → to step aside",
        fingers="Dodge the fireballs: use the pads",
        gamepad="A gamepad steps aside with its stick or its cross.",
        score="Tics survived",
        scored="Survived",
        unit="tics",
        digits=0,
        end="Death",
        end_at_length="Probability of being dead now",
        dream_over="Died in the dream",
        game_over="Dead",
        game_survived="Survived to the end",
    ),
}


def words(spec: GameSpec) -> dict[str, str | int]:
    """What the page is told: the words of the game by name."""
    return asdict(WORDS.get(spec.name, ANY_GAME))
