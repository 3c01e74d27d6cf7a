"""What a browser may say, and nothing else: every message is checked before anything is done with it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from worldmodels.errors import UserError
from worldmodels.play.moment import LONGEST_CODE

LARGEST = 65_536  # bytes of a message; the server closes the connection on a larger one
PIXELS = 64 * 64 * 3  # bytes of a frame
SAFE = 2**53 - 1  # the largest integer that JavaScript writes exactly

Number = Annotated[int, Field(ge=0, le=SAFE)]
Name = Annotated[str, Field(max_length=100)]
ScreenName = Literal["dream", "compare", "latents", "cheating"]


class Refused(UserError):
    """A message that is not done, with the sentence for whoever sent it."""


class _Message(BaseModel):
    # Strict: no "1" for 1, no 1 for true. Numbers must be finite, and fields known.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Ack(_Message):
    """Frame n was drawn."""

    type: Literal["ack"]
    n: Number


class ChooseScreen(_Message):
    """Look at another screen."""

    type: Literal["screen"]
    name: ScreenName


class Input(_Message):
    """What the person asks for, in the game's units, until the next input."""

    type: Literal["input"]
    id: Number
    action: Annotated[list[float], Field(min_length=1, max_length=64)]


class Drive(_Message):
    """Who is to drive."""

    type: Literal["drive"]
    who: Literal["you", "controller"]


class ChooseController(_Message):
    """Which C drives when C does."""

    type: Literal["controller"]
    name: Name


class Temperature(_Message):
    """How uncertain the dream is."""

    type: Literal["temperature"]
    value: Annotated[float, Field(ge=0.1, le=2.0)]


class Pause(_Message):
    """Let time stand still, or go on."""

    type: Literal["pause"]
    on: bool


class Restart(_Message):
    """Begin anew; no seed lets the server draw one."""

    type: Literal["restart"]
    seed: Number | None = None
    controller: Name | None = None  # on the cheating screen


class OneTick(_Message):
    """One tick while time stands still."""

    type: Literal["step"]


class Rewind(_Message):
    """Back by so many ticks."""

    type: Literal["rewind"]
    ticks: Annotated[int, Field(ge=1, le=36_000)]


class AskMoment(_Message):
    """A code that leads back here."""

    type: Literal["moment"]


class Restore(_Message):
    """Go where a code leads."""

    type: Literal["restore"]
    code: Annotated[str, Field(max_length=LONGEST_CODE)]


class Record(_Message):
    """The last seconds of the dream as a film."""

    type: Literal["record"]
    format: Literal["mp4", "gif"]
    seconds: Annotated[float, Field(ge=1, le=60)]


class Watch(_Message):
    """Have the mixture of a latent dimension with each frame; null ends it."""

    type: Literal["watch"]
    dimension: Number | None


class Branch(_Message):
    """Let the dream leave the actual game."""

    type: Literal["branch"]


class Examples(_Message):
    """Frames of the actual game."""

    type: Literal["examples"]


class Encode(_Message):
    """A frame through V and back."""

    type: Literal["encode"]
    example: Number | None = None
    pixels: Annotated[str, Field(max_length=PIXELS // 3 * 4)] | None = None  # base64
    source: Annotated[Literal["dream"] | None, Field(alias="from")] = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Encode:
        if sum(given is not None for given in (self.example, self.pixels, self.source)) != 1:
            raise ValueError("say one of example, pixels and from")
        return self


class Decode(_Message):
    """A latent as a picture."""

    type: Literal["decode"]
    id: Number
    z: Annotated[list[Annotated[float, Field(ge=-10, le=10)]], Field(min_length=1, max_length=1024)]


class AskMixture(_Message):
    """What M predicts for a latent dimension."""

    type: Literal["mixture"]
    dimension: Number


Message = (
    Ack | ChooseScreen | Input | Drive | ChooseController | Temperature | Pause | Restart | OneTick | Rewind
    | AskMoment | Restore | Record | Watch | Branch | Examples | Encode | Decode | AskMixture
)  # fmt: skip

_ANY: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def read_message(text: str | bytes) -> Message:
    """A message from its JSON. Raises Refused, with one sentence, for anything else."""
    try:
        return _ANY.validate_json(text)
    except ValidationError as error:
        raise Refused(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return "a message must be one JSON object"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found", "model_attributes_type"):
        return "a message must be a JSON object whose type is one that the server knows"
    place = ".".join(str(part) for part in first["loc"])[:80]
    return f"{place}: {first['msg'][:160]}"
