"""Which action a clause asks for: by its order, and by what it speaks of. The rules are asked in turn, the surest first."""

from collections.abc import Callable
from dataclasses import dataclass

from config.contracts.shub_language import CommandContext
from shub.language.clause import SOUND_VERBS, Clause
from shub.language.deleting import is_deletion
from shub.language.scanning import Scan
from shub.language.signs import (
    MIXES,
    WHOLE_VERBS,
    asks_measure,
    comes_first,
    cuts_time,
    has_effects,
    has_loudness,
    is_created,
    is_direct_object,
    is_export,
    is_level,
    is_loudness_of_whole,
    is_named,
    is_pan,
    is_with,
    orders_a_master,
    points_at_reference,
)
from shub.language.sound.drafting import implied_effect, is_dither_alone
from shub.language.sound.frequencies import is_hertz
from shub.language.stems import has_pronoun
from shub.language.words import words_of

WHOLE: tuple[list[str], ...] = ([], ["*"], ["song"], ["master"])
LOOKING = words_of("analyze tell show compare put give make")
_HAVING = words_of("get have tener tenerlo tenerla")
_TOLD = ("a", "an", "es")
"""Endings of what is only said of something: "dime si la voz satura", not "mira si puedes saturarla"."""
PICTURED = ("show", "put", "give", "make", "want", "export", "save", "add", "tell", "move", "remove")


@dataclass(frozen=True, slots=True)
class _Case:
    """A clause with what every rule asks of it: its orders, the first of them ("" for none), and whether it speaks of sound."""

    clause: Clause
    clauses: list[Clause]
    found: Scan
    context: CommandContext
    orders: list[str]
    first: str
    has_sound: bool


def kind_of(clause: Clause, clauses: list[Clause], found: Scan, context: CommandContext) -> str:
    """The action that a clause asks for; "" for none."""
    orders = [verb for verb in clause.verbs if verb not in ("sound", "want", "clip", "mask")]
    has_sound = clause.has_content or any(is_hertz(item, clause) for item in clause.numbers)
    case = _Case(clause, clauses, found, context, orders, orders[0] if orders else "", has_sound)
    return next((kind for rule in _RULES if (kind := rule(case)) is not None), "unknown")


def _undone_or_deleted(case: _Case) -> str | None:
    if case.clause.has("special", "undo") or (case.first == "undo" and not case.clause.has("file", "file")):
        return "undo"
    return "delete" if is_deletion(case.clause, case.found) else None


def _asked(case: _Case) -> str | None:
    """What is to be looked at, or is only to be known."""
    clause, first = case.clause, case.first
    told = {item["verb"] for item in clause.items if item.is_a("verb", "saturate") and item.text.endswith(_TOLD)}
    if clause.has("special", "check") and not clause.has("picture") and not set(case.orders) - LOOKING - told:
        return "analyze"
    is_wish = clause.said("want") or (clause.numbers and _HAVING & {token.text for token in case.found.tokens[:4]})
    if case.found.is_question and not case.orders and clause.has("platform") and not is_wish:
        return "analyze"  # "¿está bien para Spotify?"
    if not case.found.is_question_of_knowledge or (clause.said("show") and clause.has("picture")):
        return None
    if any("measure" in item.tags and item.before in ("the", "my") for item in clause.items):
        return "analyze"  # "what's eating up the headroom?"
    if clause.has("special", "question"):
        return "analyze" if clause.own_targets and clause.has("word") and clause.said("sound") else "unknown"
    return "unknown" if first in ("remove", "cut") else None


def _like_another(case: _Case) -> str | None:
    clause, first = case.clause, case.first
    is_direct = first not in ("export", "analyze", "compare", "show", "raise", "lower")
    if clause.has("special", "reference") and (
        is_direct or comes_first(clause, "reference") or points_at_reference(clause)
    ):
        return "match_reference"
    if first == "match" and (clause.has("special", "reference") or clause.own_targets in (["song"], ["master"])):
        return "match_reference"
    return "set_mix" if first == "match" and len(clause.own_targets) > 1 else None


def _looked_at(case: _Case) -> str | None:
    clause, first = case.clause, case.first
    if asks_measure(clause, case.found, first):
        return "analyze"
    if clause.has("picture") and (clause.said(*PICTURED) or not clause.verbs) and not has_effects(clause):
        return "visualize"
    if first == "show" and (clause.has("measure") or clause.own_targets):
        return "visualize" if clause.has("picture") or not clause.has("measure") else "analyze"
    is_clipping = first == "clip" or (clause.said("clip") and case.found.is_question)
    return "analyze" if first in ("analyze", "compare", "tell") or is_clipping else None


def _written_or_mastered(case: _Case) -> str | None:
    clause, first = case.clause, case.first
    if is_dither_alone(clause):
        return "apply_effects"
    if is_export(clause, first):
        return "export"
    if first == "master" or orders_a_master(clause):
        return "master"
    if clause.own_targets == ["master"] and is_created(clause, ("master", "mastering", "masters")):
        return "master"
    if first == "normalize" or (clause.has("effect", "normalize") and not first):
        return "normalize"
    has_lufs = is_loudness_of_whole(clause, first) or has_loudness(clause)
    if has_lufs and first not in SOUND_VERBS and first not in ("mix", "balance"):
        return "normalize" if not clause.has("platform") or clause.has("platform", "ebu_r128", "atsc_a85") else "master"
    return None


def _mixed(case: _Case) -> str | None:
    clause, first, own = case.clause, case.first, case.clause.own_targets
    if first in ("mix", "balance") and not (case.has_sound and own not in ([], ["*"], ["song"])):
        if first == "balance" and own not in WHOLE:
            return "set_mix"
        return "apply_effects" if first == "mix" and own not in WHOLE and has_effects(clause) else "mix"
    if is_with(clause, case.found) and any(
        item.text in MIXES and item.before in ("una", "a", "un") for item in clause.items
    ):
        return "mix"
    if (
        own in (["master"], ["*"])
        and not case.has_sound
        and is_created(clause, (*MIXES, "mixdown", "mescla", "balance"))
    ):
        return "mix"
    is_made = first in ("make", "put", "give", "save", "want", "move", "") or clause.said("want")
    return "master" if clause.has("platform") and not case.has_sound and is_made else None


def _placed(case: _Case) -> str | None:
    """Levels, places, and who is heard."""
    clause, first = case.clause, case.first
    if first in ("pan", "center", "mute", "unmute") and not (first == "mute" and has_effects(clause)):
        return "set_mix"
    is_alone = clause.is_only and clause.own_targets and not clause.numbers and not case.has_sound
    if is_alone and (clause.has("special", "listen") or first in ("put", "", "want") or case.orders == ["give"]):
        return "set_mix"
    if clause.has("special", "in_solo", "no_solo") or (
        first == "solo" and clause.own_targets and len(case.orders) == 1
    ):
        return "set_mix"
    if implied_effect(clause) and first not in WHOLE_VERBS and all(is_named(item) for item in clause.numbers):
        return "apply_effects"
    if cuts_time(clause) and clause.said("cut", "remove") and not has_effects(clause, "trim"):
        return "apply_effects"
    return "set_mix" if is_level(clause, first, case.has_sound) or is_pan(clause, case.has_sound) else None


def _sounding(case: _Case) -> str | None:
    clause, first = case.clause, case.first
    if clause.has("special", "all_effects") and clause.said("remove", "mute"):
        return "apply_effects"
    if implied_effect(clause) and first not in WHOLE_VERBS:
        return "apply_effects"
    if first == "tame" and clause.targets and not clause.numbers:
        return "apply_effects"
    if has_effects(clause) or case.has_sound or first in SOUND_VERBS or cuts_time(clause):
        return "apply_effects"
    if first == "remove" and clause.own_targets not in WHOLE:
        return "set_mix" if is_direct_object(clause, case.found) else "apply_effects"
    return "export" if clause.has("effect", "resample", "dither") else None


def _moved(case: _Case) -> str | None:
    """Levels that are said without a number, or by who covers whom."""
    clause = case.clause
    is_moved = case.first in ("lower", "raise", "move") or clause.has("place", "more", "less", "too", "up", "down")
    if case.orders == ["make"] and not clause.has("place", "too", "up", "down"):
        is_moved = False  # "make it more ...": more of what is not said
    if is_moved and (clause.own_targets or case.context.last_targets or has_pronoun(clause)):
        return "set_mix"
    is_stood = clause.has("place", "front", "behind") or clause.said("mask") or clause.has("special", "back_in")
    return "set_mix" if is_stood and clause.own_targets else None


def _nothing(case: _Case) -> str | None:
    """Parts of a longer command that ask for nothing of their own."""
    clause = case.clause
    if len(case.clauses) == 1:
        return None
    is_filler = not case.orders or case.first in ("make", "put", "give", "keep", "touch", "do")
    if is_filler and not clause.own_targets:
        return ""
    return "" if clause.is_only_targets or (not clause.verbs and not clause.numbers) else None


_RULES: tuple[Callable[[_Case], str | None], ...] = (
    _undone_or_deleted, _asked, _like_another, _looked_at, _written_or_mastered, _mixed, _placed, _sounding, _moved, _nothing,
)  # fmt: skip
