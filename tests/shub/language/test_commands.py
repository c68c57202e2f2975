"""A broad set of commands in both languages, written down by somebody who had not seen the rules: what they were read as."""

from typing import Any

import pytest

from config.contracts.shub_language import CommandContext
from shub.language.answering import answer_of
from shub.language.reading import read
from tests.shub.language.scoring import commands, has_effects, is_destructive, is_right, lost_numbers

GOAL, REACHED = 0.95, 0.91
SETS = ("commands_a.jsonl", "commands_b.jsonl")


def answers_to(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for expected in commands(name):
        context = CommandContext.model_validate(expected["context"])
        answer = answer_of(read(expected["command"], context), context)
        found.append((expected, answer.model_dump()))
    return found


def share_right(name: str) -> float:
    """How many of a set are right in action and target; a failure shows the share alone, so the second set stays unread."""
    answers = answers_to(name)
    return sum(is_right(expected, answer["actions"]) for expected, answer in answers) / len(answers)


def test_nearly_every_command_of_the_first_set_is_right_in_action_and_target() -> None:
    share = share_right(SETS[0])
    assert share >= GOAL


def test_the_second_set_which_the_rules_were_not_made_with_does_not_get_worse() -> None:
    share = share_right(SETS[1])
    assert share >= REACHED


@pytest.mark.xfail(reason="0.92 so far: what is missing are targets and words of indirect commands", strict=True)
def test_nearly_every_command_of_the_second_set_is_right_too() -> None:
    share = share_right(SETS[1])
    assert share >= GOAL


@pytest.mark.parametrize("name", SETS)
def test_nothing_is_deleted_that_was_not_to_be(name: str) -> None:
    deleted = [
        expected["command"]
        for expected, answer in answers_to(name)
        if is_destructive(answer["actions"]) and not expected["is_destructive"]
    ]
    assert not deleted


@pytest.mark.parametrize("name", SETS)
def test_whoever_wants_to_delete_is_warned(name: str) -> None:
    for expected, answer in answers_to(name):
        codes = {warning["code"] for warning in answer["warnings"]}
        if expected["is_destructive"] and is_destructive(answer["actions"]):
            assert "destructive_requires_confirmation" in codes, expected["command"]


@pytest.mark.parametrize("name", SETS)
def test_what_had_to_be_warned_of_is(name: str) -> None:
    for expected, answer in answers_to(name):
        codes = {warning["code"] for warning in answer["warnings"]}
        assert set(expected.get("warnings", [])) <= codes, f"{len(expected['command'])} characters: {codes}"


def test_every_number_of_the_first_set_is_kept_under_its_name() -> None:
    lost = {expected["command"]: lost_numbers(expected, answer["actions"]) for expected, answer in answers_to(SETS[0])}
    assert not {command: numbers for command, numbers in lost.items() if numbers}


def test_the_effects_of_the_first_set_are_those_that_were_meant() -> None:
    wrong = [
        expected["command"] for expected, answer in answers_to(SETS[0]) if not has_effects(expected, answer["actions"])
    ]
    assert not wrong
