"""What the rules make of a command."""

from dataclasses import dataclass, field
from typing import Literal

from config.contracts.shub_language import CommandAction, Descriptor
from shub.language.scanning import Item

Language = Literal["es", "en"]


@dataclass(slots=True)
class Reading:
    """What the rules made of a command; `doubts` lower the confidence, and each is a question's code."""

    actions: list[CommandAction] = field(default_factory=list)
    descriptors: list[Descriptor] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    numbers: list[Item] = field(default_factory=list)
    """Every quantity that was said."""
    language: Language = "es"
    confidence: float = 0.0
