"""The second opinion: asked only where the rules are unsure, held to the contract, and never listened to when it would delete."""

import asyncio
import json
from typing import Any, cast

import pytest

from config.clients.switch import SwitchClient
from config.contracts.shub_language import InterpretRequest
from config.errors import UpstreamUnavailable
from shub.language import interpreting
from shub.language.interpreting import Interpreter

UNCLEAR = "hazlo mejor, a 3 dB"
WARMER = {
    "actions": [
        {
            "action": "apply_effects",
            "targets": ["master"],
            "effects": [{"type": "eq_peak", "freq_hz": 220.0, "gain_db": 1.0}, {"type": "magic"}],
            "params": {},
        }
    ],
    "confidence": 0.8,
}


class Provider:
    state = "ok"


class Switch:
    """Answers as switch does: a status, and a reply to a prompt; `answer` may be an exception or take too long."""

    def __init__(self, answer: Any, provider: str = "openai") -> None:
        self.answer, self.provider, self.prompts = answer, provider, list[str]()

    async def status(self, *, timeout_seconds: float) -> Any:
        return type("Status", (), {"providers": [Provider()]})()

    async def route(self, prompt: str, **options: Any) -> Any:
        self.prompts.append(prompt)
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == "never":
            await asyncio.Event().wait()
        text = self.answer if isinstance(self.answer, str) else json.dumps(self.answer)
        return type("Reply", (), {"answer": text, "provider": self.provider})()


async def asked(switch: Switch, command: str = UNCLEAR, **options: Any) -> Any:
    interpreter = Interpreter(cast(SwitchClient, switch))
    return await interpreter.interpret(InterpretRequest(command=command, **options))


async def test_a_model_reads_what_the_rules_do_not_and_every_number_is_kept() -> None:
    told = await asked(Switch(WARMER))
    assert told.source == "model"
    assert [effect["type"] for effect in told.actions[0].effects] == ["eq_peak"]
    assert told.actions[0].params == {"gain_db": 3.0}
    assert not told.needs_clarification


@pytest.mark.parametrize(
    "answer",
    [
        UpstreamUnavailable("down"),
        "certainly! here is your mix",
        {"actions": [], "confidence": 0.9},
        {"actions": [{"action": "delete", "targets": ["*"]}], "confidence": 1.0},
        {**WARMER, "confidence": 0.2},
        {
            "actions": [{"action": "apply_effects", "targets": ["vocal"], "effects": [{"type": "magic"}]}],
            "confidence": 0.9,
        },
    ],
)
async def test_what_is_unheard_or_nonsense_leaves_the_rules_answer(answer: Any) -> None:
    told = await asked(Switch(answer))
    assert told.source == "rules"
    assert told.needs_clarification
    assert told.questions


async def test_a_model_that_is_late_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreting, "ASK_SECONDS", 0.05)
    assert (await asked(Switch("never"))).source == "rules"


async def test_the_local_model_is_not_believed() -> None:
    assert (await asked(Switch(WARMER, provider="local"))).source == "rules"


async def test_nobody_is_asked_when_the_rules_are_sure_or_it_is_not_wanted() -> None:
    switch = Switch(WARMER)
    assert (await asked(switch, "sube 3 dB la voz")).source == "rules"
    assert (await asked(switch, ask_model=False)).source == "rules"
    assert switch.prompts == []
