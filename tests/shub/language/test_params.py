"""What the params of the actions hold fits what takes them: numbers are numbers, formats and targets are those of the contracts."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from config.contracts.effects import Effect
from config.contracts.shub import ChainRequest, MasterRequest, OutputFormat, Target
from config.contracts.shub_language import CommandAction, CommandContext, Interpretation
from shub.language.answering import answer_of
from shub.language.reading import read
from shub.language.warnings import WRITTEN
from tests.shub.language.scoring import SETS, commands

EFFECT: TypeAdapter[Any] = TypeAdapter(Effect)
TYPES = {type_.model_fields["type"].annotation for type_ in get_args(get_args(Effect)[0])}
TYPE_NAMES = {get_args(literal)[0] for literal in TYPES}


def answered(command: str, context: CommandContext | None = None) -> Interpretation:
    context = context or CommandContext()
    return answer_of(read(command, context), context)


def all_actions() -> Iterator[tuple[str, Interpretation, CommandAction]]:
    for name in SETS:
        for row in commands(name):
            told = answered(row["command"], CommandContext.model_validate(row["context"]))
            for action in told.actions:
                yield row["command"], told, action


NUMBERS = ("gain_db", "target_lufs", "ceiling_dbtp", "peak_dbtp")
COUNTS = ("bit_depth", "sample_rate_hz", "bitrate_kbps", "channels", "stem_count")
SWITCHES = ("is_muted", "solo", "stems_out", "balance")
NAMES = ("except", "remove", "measures", "pictures")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_place(value: Any) -> bool:
    pans = value if isinstance(value, list) else [value]
    return len(pans) in (1, 2) and all(is_number(pan) and -1.0 <= pan <= 1.0 for pan in pans)


def is_of_its_kind(key: str, value: Any) -> bool:
    if key in NUMBERS:
        return is_number(value)
    if key in COUNTS:
        return type(value) is int
    if key in SWITCHES:
        return isinstance(value, bool)
    if key in NAMES:
        return bool(value) and all(isinstance(name, str) for name in value)
    if key == "pan":
        return is_place(value)
    return key != "steps" or value == "all" or type(value) is int


def test_every_param_is_of_its_kind() -> None:
    wrong = [
        (command, key, value)
        for command, _, action in all_actions()
        for key, value in action.params.items()
        if not is_of_its_kind(key, value)
    ]
    assert not wrong


def test_every_effect_is_one_of_the_contract_and_what_is_removed_begins_like_one() -> None:
    for command, _, action in all_actions():
        for effect in action.effects:
            EFFECT.validate_python(effect)
        for name in action.params.get("remove", []):
            assert any(kind.startswith(name) for kind in TYPE_NAMES), command


def is_taken(model: type[BaseModel], values: dict[str, Any]) -> bool:
    try:
        model.model_validate(values)
    except ValidationError:
        return False
    return True


def test_what_is_written_or_mastered_is_taken_by_the_contracts_or_warned_of() -> None:
    for command, told, action in all_actions():
        if action.action not in ("export", "master"):
            continue
        model = ChainRequest if action.action == "export" else MasterRequest
        said = {key: value for key, value in action.params.items() if key in model.model_fields}
        assert told.warnings or is_taken(model, {"asset_id": "a" * 32, **said}), command


@pytest.mark.parametrize("said", ["wav", "flac", "mp3", "ogg"])
def test_every_format_of_the_contract_can_be_asked_for(said: str) -> None:
    (action,) = answered(f"exporta la mezcla en {said}").actions
    assert OutputFormat.model_validate(action.params).format == said
    assert said in WRITTEN


@pytest.mark.parametrize(
    ("said", "target"), [("Spotify", "spotify"), ("Apple Music", "apple_music"), ("YouTube", "youtube"), ("CD", "cd")]
)
def test_a_platform_is_a_target_of_the_contract(said: str, target: str) -> None:
    (action,) = answered(f"master it for {said}").actions
    assert action.params["target"] == target
    assert target in get_args(Target)


@pytest.mark.parametrize(
    ("command", "params"),
    [
        ("mutea el bajo", {"is_muted": True}),
        ("solo the drums", {"solo": True}),
        ("quita el solo del piano", {"solo": False}),
        ("turn everything but the vocal down 2 dB", {"except": ["vocal"], "gain_db": -2.0}),
        ("quita la reverb de la voz", {"remove": ["reverb"]}),
        ("remove all effects from the bass", {"remove": [""]}),
        ("panea la guitarra 30 a la izquierda", {"pan": -0.3}),
        ("abre las guitarras a los lados", {"pan": [-0.5, 0.5]}),
        ("undo the last 3 changes", {"steps": 3}),
        ("deshaz todo", {"steps": "all"}),
        ("exporta los stems en flac de 24 bits a 48k", {"format": "flac", "bit_depth": 24, "sample_rate_hz": 48_000, "stems_out": True}),
        ("mp3 a 320", {"format": "mp3", "bitrate_kbps": 320}),
        ("export a mono wav", {"format": "wav", "channels": 1}),
        ("exporta un wav de 16 bits", {"format": "wav", "bit_depth": 16, "dither": "tpdf"}),
        ("masteriza a -10 con techo de -0,8", {"target_lufs": -10.0, "ceiling_dbtp": -0.8}),
    ],
)  # fmt: skip
def test_params_have_the_names_that_a_session_uses(command: str, params: dict[str, Any]) -> None:
    (action,) = answered(command).actions
    assert action.params == params


def test_two_places_are_two_only_where_two_were_said() -> None:
    (one,) = answered("las guitarras a la derecha").actions
    assert one.params == {"pan": 0.5}


def test_a_track_that_is_called_by_its_number_is_not_the_whole() -> None:
    for command, target in (("delete track 3", "track 3"), ("borra la pista 2", "pista 2")):
        (action,) = answered(command).actions
        assert (action.action, action.targets) == ("delete", [target])


def test_both_ends_of_a_trim_are_kept() -> None:
    (action,) = answered("cut off the first 2.5 seconds and the last 4").actions
    assert action.effects == [{"type": "trim", "start_seconds": 2.5}]
    assert action.params == {"trim_end_seconds": 4.0}
