"""What a game is to a world model: its actions, its frames, its length."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from worldmodels.errors import UserError

FRAME_SIZE = 64
"""Height and width of the frames that V sees, in pixels (paper, "VAE (V) Model": 64x64 pixels)."""

ACTION_BOUNDS: Mapping[str, tuple[float, float]] = {
    "symmetric": (-1.0, 1.0),  # tanh(x)
    "unit": (0.0, 1.0),  # (tanh(x) + 1) / 2
    "positive": (0.0, 1.0),  # clip(tanh(x), 0, 1)
}
"""Range of each kind of action, with the squashing that gives it."""


@dataclass(frozen=True)
class GameSpec:
    """A game as the world model meets it.

    Raises ValueError when the fields contradict each other.
    """

    name: str
    gym_id: str | None
    """Id in Gymnasium and EnvPool; None: a game of our own that is played in this process."""
    action_kinds: tuple[str, ...]
    """One of "symmetric", "unit", "positive" per action: its range and squashing (see ACTION_BOUNDS)."""
    frame_shape: tuple[int, int, int]
    """Height, width and channels of the game's own frames."""
    frame_rows: int
    """Rows kept, counted from the top; those below (a score bar) are cut off."""
    max_steps: int
    """Steps of the game after which an episode is truncated."""
    steps_per_second: float = 50.0
    """Pace at which a person would play it, for videos."""
    mirror_signs: tuple[float, ...] | None = None
    """Factors that turn an action into that of the left-right mirrored frame; None: no such symmetry."""
    options: tuple[tuple[str, float], ...] = ()
    """Keyword arguments for Gymnasium's and EnvPool's make, the same for both."""
    thirds: tuple[int, int, int] | None = None
    """Where the game takes one of three actions: which, for a number below -1/3, between, and above 1/3."""
    module: str | None = None
    """Module that registers gym_id with Gymnasium when it is imported; None: Gymnasium knows it already."""
    packages: str = "gymnasium[box2d]"
    """What to install to play it."""
    frame_key: str | None = None
    """Where the frame is in observations that are dictionaries; None: the observation is the frame."""
    painter: str | None = None
    """Who paints the frames of Gymnasium's game faster, as "module:class"; None: the game paints each itself."""
    sketcher: str | None = None
    """Who paints frames that are nearly those, and faster still, likewise; None: nobody does."""
    has_road: bool = False
    """Whether it is played along a road of tiles, of which its painters count those that are missed."""
    resets_clean: bool = False
    """Whether an episode is a function of its seed on a game that was played before; else it is made afresh."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.action_kinds if kind not in ACTION_BOUNDS]
        if unknown or not self.action_kinds:
            raise ValueError(f"action_kinds must be some of {list(ACTION_BOUNDS)}, got {self.action_kinds}")
        if not 0 < self.frame_rows <= self.frame_shape[0]:
            raise ValueError(f"frame_rows must lie in 1..{self.frame_shape[0]}, got {self.frame_rows}")
        if self.frame_shape[2] != 3:
            raise ValueError(f"frames must have 3 channels, got frame_shape {self.frame_shape}")
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, got {self.max_steps}")
        if self.mirror_signs is not None and len(self.mirror_signs) != len(self.action_kinds):
            raise ValueError(f"mirror_signs must have one factor per action, got {self.mirror_signs}")
        if self.thirds is not None and self.action_kinds != ("symmetric",):
            raise ValueError(f"thirds are of one symmetric action, got action_kinds {self.action_kinds}")

    @property
    def action_size(self) -> int:
        """Numbers in one action (A)."""
        return len(self.action_kinds)

    @property
    def action_low(self) -> np.ndarray:
        """Smallest action: (A,) float32."""
        return np.array([ACTION_BOUNDS[kind][0] for kind in self.action_kinds], np.float32)

    @property
    def action_high(self) -> np.ndarray:
        """Largest action: (A,) float32."""
        return np.array([ACTION_BOUNDS[kind][1] for kind in self.action_kinds], np.float32)

    def game_actions(self, actions: np.ndarray) -> np.ndarray:
        """What the game's own action space takes: (N, A) float32, or (N,) int64 where it has `thirds`.

        `actions` are (N, A), as C gives them.
        """
        if self.thirds is None:
            return np.asarray(actions, np.float32)
        # Paper, "Appendix: Controller": below -1/3 is left, above 1/3 is right, and between is to stay.
        third = (actions[:, 0] >= -1 / 3).astype(np.int64) + (actions[:, 0] > 1 / 3)
        return np.array(self.thirds, np.int64)[third]

    def observe(self, raw_frames: np.ndarray) -> np.ndarray:
        """The frames that V sees: raw (N, H, W, 3) uint8 -> (N, 64, 64, 3) uint8.

        Rows below `frame_rows` are cut off and the rest is resized with an antialiased bilinear filter,
        within 1/255 of Pillow's BILINEAR. The authors' code resizes with scipy's old `imresize`, which also
        stretches each frame's contrast; that is not imitated. Raises ValueError for another shape or dtype.
        """
        if raw_frames.ndim != 4 or raw_frames.shape[1:] != self.frame_shape or raw_frames.dtype != np.uint8:
            raise ValueError(
                f"frames of {self.name} must be (N, {', '.join(map(str, self.frame_shape))}) uint8, "
                f"got {raw_frames.shape} {raw_frames.dtype}"
            )
        return resized(raw_frames[:, : self.frame_rows])


def resized(kept: np.ndarray) -> np.ndarray:
    """The rows of a frame that are kept, as V sees them: (N, H, W, 3) uint8 -> (N, 64, 64, 3) uint8, a copy."""
    if kept.shape[1:3] == (FRAME_SIZE, FRAME_SIZE) or not len(kept):
        return kept.copy() if len(kept) else np.zeros((0, FRAME_SIZE, FRAME_SIZE, 3), np.uint8)
    import torch  # here, because game workers import this file and must stay small

    pixels = torch.from_numpy(np.ascontiguousarray(kept)).permute(0, 3, 1, 2)  # (N, 3, H, W), channels last
    small = torch.nn.functional.interpolate(
        pixels, size=(FRAME_SIZE, FRAME_SIZE), mode="bilinear", antialias=True, align_corners=False
    )
    return small.permute(0, 2, 3, 1).contiguous().numpy()  # (N, 64, 64, 3)


def games() -> dict[str, GameSpec]:
    """Every game that `game` knows, by name."""
    from worldmodels.envs.car_racing import CAR_RACING
    from worldmodels.envs.take_cover import TAKE_COVER
    from worldmodels.envs.toy import TOY

    return {spec.name: spec for spec in (CAR_RACING, TAKE_COVER, TOY)}


def game(name: str) -> GameSpec:
    """The game of that name, such as "car-racing". Raises UserError with a suggestion for an unknown name."""
    known = games()
    if name in known:
        return known[name]
    simple = {key.replace("-", ""): key for key in known}
    typed = name.lower().replace("-", "").replace("_", "")
    close = difflib.get_close_matches(typed, simple, n=1, cutoff=0.5)
    suggestion = f" Did you mean {simple[close[0]]}?" if close else ""
    raise UserError(f"There is no game called {name!r}; the games are {', '.join(known)}.{suggestion}")
