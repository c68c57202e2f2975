"""One order of a command: what was said in it, and what it is about."""

from dataclasses import dataclass, field

from shub.language.scanning import Item
from shub.language.words import words_of

GENERIC = words_of("put give make want move tell sound touch clip mask do keep")
CONTENT = ("effect", "band", "word")
SOUND_VERBS = words_of(
    "compress limit gate deess saturate equalize filter highpass lowpass widen narrow duck fade reverberate resample close"
)
NO_ORDERS = words_of("sound clip mask want touch show")
MOST_ITEMS = 48
"""Nobody says more in one order; a longer one is cut, so that what looks at all of an order stays quick."""
INDEX = "index"
"""The label of a number that counts things of one kind: "guitar 2"."""
FAULTS = ("hum", "noise", "rumble", "plosive", "mud_room")
"""Effects that are named by what they take away."""
TOOLS = words_of("eq mid_side multiband shelf low_shelf high_shelf notch highpass lowpass")
"""Effects that are named before they are told what to do."""
CREATING = words_of("make put want give show add export save remove")


@dataclass(slots=True)
class Clause:
    """One order. `own_targets` are those said in it; `targets` those that it is about in the end."""

    items: list[Item] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    own_targets: list[str] = field(default_factory=list)
    excepted: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    carried: bool = False
    """Its verb is that of the clause before."""
    refused: list[Item] = field(default_factory=list)
    """What was denied in it."""
    words: list[str] = field(default_factory=list)
    """All that was said from its first to its last item, the unknown too."""
    is_only: bool = False
    """Only this was said to be meant: "deja solo la voz"."""
    key: str = ""
    """Whose level ducks the targets."""
    is_guess: bool = False
    """Nobody said what it is about."""

    @property
    def verb(self) -> str:
        return self.verbs[0] if self.verbs else ""

    def has(self, kind: str, *values: str) -> bool:
        return any(item.is_a(kind, *values) for item in self.items)

    def all_of(self, kind: str) -> list[Item]:
        return [item for item in self.items if kind in item.tags]

    def said(self, *verbs: str) -> bool:
        return any(verb in verbs for verb in self.verbs)

    @property
    def numbers(self) -> list[Item]:
        return [item for item in self.items if item.quantity is not None]

    @property
    def has_content(self) -> bool:
        return any(
            kind in item.tags and not (kind == "effect" and item["effect"] in ("volume", "pan", "stereo"))
            for item in self.items
            for kind in CONTENT
        )

    @property
    def is_only_targets(self) -> bool:
        return (
            bool(self.own_targets)
            and all("target" in item.tags or item.is_a("special", "only") for item in self.items)
            and not self.verbs
            and not any(item.is_a("effect") and not item.is_a("target") for item in self.items)
        )

    @property
    def is_heading(self) -> bool:
        """The name of a tool, perhaps with whom it is for, before what is to be done with it: "low shelf on the kick"."""
        names = [item for item in self.items if "effect" in item.tags]
        return (
            not self.verbs
            and all(item["effect"] in TOOLS for item in names)
            and bool(names)
            and all(
                "effect" in item.tags or "target" in item.tags or item.is_a("word", "narrow", "wide")
                for item in self.items
            )
        )

    @property
    def is_statement(self) -> bool:
        """A complaint or a description, not an order."""
        return not [verb for verb in self.verbs if verb not in NO_ORDERS] and (
            self.has("word")
            or self.has("effect", *FAULTS)
            or self.said("mask")
            or self.has("special", "quiet_complaint", "loud_complaint", "better", "dislike")
            or (self.has("place", "left", "right") and self.has("place", "strongly", "too", "slightly"))
        )
