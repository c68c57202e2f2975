"""Audio mode: requests about audio work are read as such, and the model is told what it is to be an audio engineer."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import structlog

from config.contracts.switch import AudioReading, ShubModeStatus
from config.errors import FleetError
from switch.audio import advice, parameters
from switch.audio.interpreter import Interpretation
from switch.audio.terms import look

SHUB = "shub"
AUDIO = "audio"
"""The type of task of a request about audio; a specialty of hermes_db."""
SAMPLE_RATE_HZ, BIT_DEPTH = 44_100, 24
INTERPRET_SECONDS = 2.0
REMEMBERED_SECONDS = 60.0
MOST_READ = 4000  # characters; an order stands at the beginning of what is longer

ACTIONS: Mapping[str, tuple[str, ...]] = {
    "mix_command": ("load_tracks", "apply_template", "set_levels", "export_stems"),
    "master_command": ("measure_loudness", "set_chain", "limit_true_peak", "verify"),
    "effect_command": ("select_plugin", "load_preset", "adjust_parameters", "bypass_toggle"),
    "export_command": ("choose_format", "dither", "render", "verify"),
    "analysis_command": ("measure_loudness", "measure_spectrum", "check_phase"),
    "question": (),
}

log = structlog.get_logger()


class Interprets(Protocol):
    """Shub, as far as it matters here."""

    async def interprets(self) -> bool: ...
    async def interpret(self, command: str) -> Interpretation: ...


class AudioMode:
    """`audio_model()` names the model that would be asked for a task of audio, None where there is none made for it."""

    def __init__(self, shub: Interprets, audio_model: Callable[[], str | None] = lambda: None) -> None:
        self._shub, self._audio_model = shub, audio_model
        self._active = False
        self._shub_is: Literal["interprets", "answers without interpretation", "not reachable"] = "not reachable"
        self._asked_shub_at = float("-inf")

    def activate(self, active: bool) -> None:
        """Read every request as one about audio, or only those that look like it. Until the end of this process."""
        self._active = active

    @property
    def is_active(self) -> bool:
        return self._active

    def reading(self, text: str, caller_id: str, *, is_audio: bool = False) -> AudioReading | None:
        """What a text asks for in terms of audio; None where it does not, and for shub itself, which would ask in a circle.

        `is_audio`: somebody has said already that it does.
        """
        if caller_id == SHUB:
            return None
        text = text[:MOST_READ]
        found = look(text)
        if not (found.is_audio or is_audio or self._active):
            return None
        language, asked = advice.language_of(text), parameters.read(text)
        command = found.command or "question"
        return AudioReading(
            command_type=command,
            categories=list(found.categories),
            technical_terms=list(found.terms),
            parameters=asked.parameters,
            suggested_actions=list(ACTIONS[command]),
            recommendations=advice.recommendations(command, asked, language),
            warnings=advice.warnings(text, asked, language),
        )

    def prompt(self, reading: AudioReading) -> str:
        """What the model is told before the request."""
        asked = reading.parameters
        rate, depth = asked.get("sample_rate_hz", SAMPLE_RATE_HZ), asked.get("bit_depth", BIT_DEPTH)
        channels = {1: "mono"}.get(asked.get("channels", 2), "stereo")
        lines = [
            "You are an experienced audio engineer (recording, mixing, mastering, synthesis). Answer in the language of the request, "
            "briefly, with concrete values and their units.",
            f"Unless the request says otherwise: {rate / 1000:g} kHz, {depth} bit, {channels}. Loudness in LUFS (ITU-R BS.1770), "
            "true peak in dBTP. You have not heard the audio: do not claim that you have, nor that anything was done to it.",
        ]
        if asked:
            lines.append("Asked for: " + ", ".join(f"{name} {value}" for name, value in asked.items()) + ".")
        if reading.warnings:
            lines.append("Mention what matters of these: " + " | ".join(reading.warnings))
        return "\n".join(lines)

    async def interpret(
        self, reading: AudioReading, text: str, *, within_seconds: float = INTERPRET_SECONDS
    ) -> AudioReading:
        """The reading as shub makes it, where shub interprets; else the same. Takes two seconds at most and raises nothing of shub's."""
        try:
            async with asyncio.timeout(min(within_seconds, INTERPRET_SECONDS)):
                if not await self._does_shub_interpret():
                    return reading
                found = await self._shub.interpret(text[:MOST_READ])
        except (FleetError, TimeoutError) as exc:
            log.info("shub_did_not_interpret", error=str(exc) or "late")
            self._remember("not reachable")
            return reading
        return merged(reading, found)

    async def status(self) -> ShubModeStatus:
        try:
            async with asyncio.timeout(INTERPRET_SECONDS):
                await self._does_shub_interpret()
        except (FleetError, TimeoutError):
            self._remember("not reachable")
        model = self._audio_model()
        return ShubModeStatus(active=self._active, model=model, audio_processing=self._active, shub=self._shub_is)

    async def _does_shub_interpret(self) -> bool:
        if time.monotonic() - self._asked_shub_at > REMEMBERED_SECONDS:
            self._remember("interprets" if await self._shub.interprets() else "answers without interpretation")
        return self._shub_is == "interprets"

    def _remember(self, what: Literal["interprets", "answers without interpretation", "not reachable"]) -> None:
        self._shub_is, self._asked_shub_at = what, time.monotonic()


COMMANDS: Mapping[str, str] = {
    "mix": "mix_command",
    "set_mix": "mix_command",
    "apply_effects": "effect_command",
    "master": "master_command",
    "normalize": "master_command",
    "analyze": "analysis_command",
    "visualize": "analysis_command",
    "match_reference": "master_command",
    "export": "export_command",
}
"""Shub's actions in the words of the original documents."""


def merged(reading: AudioReading, found: Interpretation) -> AudioReading:
    """The reading with what shub made of the request; what shub does not say stays."""
    known = [action for action in found.actions if action.action in COMMANDS]
    if not known:
        return reading
    asked: dict[str, Any] = {}
    for action in known:
        asked |= action.params
    effects = [effect for action in known for effect in action.effects]
    targets = list(dict.fromkeys(target for action in known for target in action.targets))
    asked |= {name: value for name, value in (("effects", effects), ("targets", targets)) if value}
    return reading.model_copy(
        update={
            "command_type": COMMANDS[known[0].action],
            "parameters": reading.parameters | asked,
            "suggested_actions": [action.action for action in known],
            "recommendations": found.recommendations or reading.recommendations,
            "warnings": list(dict.fromkeys([*(one.text for one in found.warnings), *reading.warnings])),
            "source": "shub",
        }
    )
