"""Questions madre asks back, answers to them, and second opinions from switch."""

import asyncio
from collections.abc import Sequence

import pytest

from config.contracts.madre import IntentName
from config.errors import UpstreamContractError, UpstreamUnavailable
from madre.core.parser import Outcome, Parser, Question, Reader, SwitchReading, ask, read, resolve_answer

MIX, MASTER, DELETE = IntentName.AUDIO_MIX, IntentName.AUDIO_MASTER, IntentName.DELETE_RESOURCE
UNCLEAR = "eso de ayer, ya sabes"


def question(*options: IntentName, language: str = "es") -> Question:
    return Question(message="lo de la mezcla", language=language, options=list(options), text="¿…?")


def test_an_unclear_message_becomes_a_question_in_its_language_with_two_options():
    reading = read(UNCLEAR)
    assert reading.name is IntentName.UNCLEAR
    assert len(reading.alternatives) == 2
    asked = ask(reading, UNCLEAR)
    assert asked.options == [other.name for other in reading.alternatives]
    assert asked.text.startswith("No estoy segura")
    assert "1)" in asked.text
    assert "2)" in asked.text
    assert Question.model_validate_json(asked.model_dump_json()) == asked


def test_an_english_message_is_asked_about_in_english():
    reading = read("the thing from before, you know the one")
    assert ask(reading, "the thing").text.startswith("I am not sure")


@pytest.mark.parametrize(
    "message",
    [
        "1",
        "la primera",
        "1)",
        "the first one",
        "primero",
        "número 1",
        "la 1",
        "sí",
        "mezclarlos",
        "mix it",
        "la mezcla porfa",
    ],
)
def test_answers_that_choose_the_first(message: str):
    answer = resolve_answer(question(MIX, MASTER), message)
    assert (answer.outcome, answer.name) == (Outcome.CHOSEN, MIX)


@pytest.mark.parametrize(
    "message", ["2", "la segunda", "the second one", "2.", "opción 2", "la otra", "masterizar", "master it"]
)
def test_answers_that_choose_the_second(message: str):
    answer = resolve_answer(question(MIX, MASTER), message)
    assert (answer.outcome, answer.name) == (Outcome.CHOSEN, MASTER)


@pytest.mark.parametrize("message", ["no", "ninguna", "none of them", "olvídalo", "never mind", "no, déjalo"])
def test_answers_that_decline(message: str):
    assert resolve_answer(question(MIX, MASTER), message).outcome is Outcome.DECLINED


def test_a_bare_yes_never_chooses_what_can_do_harm():
    assert resolve_answer(question(DELETE, MIX), "sí").outcome is Outcome.ASK_AGAIN
    assert resolve_answer(question(DELETE, MIX), "borrarlo").name is DELETE


def test_another_wish_is_a_new_request():
    answer = resolve_answer(question(MIX, MASTER), "mejor dime qué modelos tengo instalados en esta máquina")
    assert answer.outcome is Outcome.NEW_REQUEST


async def test_a_chosen_option_is_read_out_of_both_messages():
    asked = Question(message="los 3 stems a -16 lufs", language="es", options=[MIX, MASTER], text="¿…?")
    answer, reading = await Parser().answer(asked, "la primera")
    assert answer.outcome is Outcome.CHOSEN
    assert reading is not None
    assert reading.name is MIX
    assert reading.params["target_lufs"] == -16.0
    assert reading.params["stem_count"] == 3


async def test_a_new_request_is_read_for_itself():
    answer, reading = await Parser().answer(question(MIX, MASTER), "¿está caído el gateway o qué pasa con él?")
    assert answer.outcome is Outcome.NEW_REQUEST
    assert reading is not None
    assert reading.name is IntentName.FLEET_STATUS


class FakeSwitch:
    def __init__(self, outcome: SwitchReading | Exception) -> None:
        self.outcome, self.asked = outcome, 0

    async def __call__(self, message: str, candidates: Sequence[IntentName]) -> SwitchReading:
        self.asked += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


async def test_switch_is_asked_only_about_what_is_unclear():
    switch = FakeSwitch(SwitchReading(name="audio_mix", confidence=0.9))
    parser = Parser(switch=switch)
    assert (await parser.read("mezcla estos 3 stems")).source == "rules"
    assert switch.asked == 0
    reading = await parser.read(UNCLEAR)
    assert (reading.name, reading.source, switch.asked) == (MIX, "switch", 1)


@pytest.mark.parametrize(
    "fault",
    [
        UpstreamUnavailable("down"),
        UpstreamContractError("<html>"),
        TimeoutError(),
        SwitchReading(name="format_disk", confidence=0.99),
        SwitchReading(name="unclear", confidence=0.99),
        SwitchReading(name="audio_mix", confidence=0.2),
        SwitchReading(name="audio_mix", confidence=17.0),
    ],
)
async def test_a_switch_that_fails_or_talks_nonsense_leaves_the_local_reading(fault: SwitchReading | Exception):
    assert await Parser(switch=FakeSwitch(fault)).read(UNCLEAR) == read(UNCLEAR)


@pytest.mark.parametrize("name", ["delete_resource", "run_process", "kill_process", "repair_module"])
async def test_switch_alone_never_makes_a_message_dangerous(name: str):
    switch = FakeSwitch(SwitchReading(name=name, confidence=1.0))
    assert (await Parser(switch=switch).read(UNCLEAR)).name is IntentName.UNCLEAR
    assert switch.asked == 1


async def test_readings_from_many_threads_are_the_same():
    messages = ["mezcla estos 3 stems", "la voz se queda atrás", "what is a limiter", UNCLEAR] * 4
    alone = [read(message) for message in messages]
    assert await asyncio.gather(*(asyncio.to_thread(Reader().read, message) for message in messages)) == alone
