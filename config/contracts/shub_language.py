"""Commands to the audio engineer, in Spanish or English, and what they mean."""

from typing import Any, Literal

from pydantic import Field

from config.contracts.common import Wire
from config.contracts.shub import MOST_STEMS, AudioWarning

LONGEST_COMMAND = 4_000
LONGEST_STEM_NAME = 200

Action = Literal[
    "mix",
    "set_mix",
    "apply_effects",
    "master",
    "normalize",
    "analyze",
    "visualize",
    "match_reference",
    "export",
    "undo",
    "delete",
    "unknown",
    "not_audio",
]


class KnownStem(Wire):
    """A stem that the speaker may mean; `role` as a mix names it."""

    name: str = Field("", max_length=LONGEST_STEM_NAME)
    role: str | None = Field(None, max_length=40)
    asset_id: str | None = Field(None, max_length=64)


class CommandContext(Wire):
    """What is on the table."""

    stems: list[KnownStem | str] = Field([], max_length=MOST_STEMS)
    """Names, or names with roles."""
    sample_rate_hz: int | None = Field(None, ge=1_000, le=384_000)
    bit_depth: int | None = Field(None, ge=8, le=64)
    target_format: str | None = Field(None, max_length=20)
    last_targets: list[str] = Field([], max_length=MOST_STEMS)
    """Whom the last command was about: "un poco más" goes on with them."""


class InterpretRequest(Wire):
    """What was said. `ask_model` lets switch read what our rules are unsure of."""

    command: str = Field(
        min_length=1, max_length=LONGEST_COMMAND, examples=["sube 3 dB la voz y quita barro en el bajo"]
    )
    context: CommandContext = CommandContext()
    ask_model: bool = True


class CommandAction(Wire):
    """One thing to do. `effects` are those of a chain (see Effect), with what was said and our choice for what was not.

    Values that were said are kept also where no effect takes them; then there is a warning.
    """

    action: Action
    targets: list[str] = []
    """Canonical: vocal, drums, kick, snare, bass, …, a stem's own name, `master`, or `*` for all."""
    effects: list[dict[str, Any]] = []
    params: dict[str, Any] = {}


class Descriptor(Wire):
    """A word for how it sounds, and the part of the spectrum or of time that it speaks of."""

    term: str
    """Canonical, in English: warm, bright, muddy, …"""
    said: str
    direction: Literal["more", "less"] = "more"
    low_hz: float | None = None
    high_hz: float | None = None


class Interpretation(Wire):
    """A command as actions with units. Below `confidence` 0.6 nothing should be done before the questions are answered."""

    actions: list[CommandAction]
    descriptors: list[Descriptor] = []
    warnings: list[AudioWarning] = []
    recommendations: list[str] = []
    """In the command's language."""
    needs_clarification: bool = False
    questions: list[str] = []
    confidence: float = Field(ge=0.0, le=1.0)
    language: Literal["es", "en"]
    source: Literal["rules", "model"] = "rules"
