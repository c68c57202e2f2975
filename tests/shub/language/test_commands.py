"""Broad sets of commands in both languages, each by an author who had not seen the rules: what they were read as."""

from functools import cache
from typing import Any

import pytest

from config.contracts.shub_language import CommandContext
from shub.language.answering import answer_of
from shub.language.reading import read
from tests.shub.language.scoring import SETS, commands, has_effects, is_destructive, is_right, lost_numbers

GOAL = 0.95


@cache
def answers_to(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = []
    for expected in commands(name):
        context = CommandContext.model_validate(expected["context"])
        answer = answer_of(read(expected["command"], context), context)
        found.append((expected, answer.model_dump()))
    return found


@pytest.mark.parametrize("name", SETS)
def test_nearly_every_command_is_right_in_action_and_target(name: str) -> None:
    answers = answers_to(name)
    wrong = [expected["command"] for expected, answer in answers if not is_right(expected, answer["actions"])]
    assert len(wrong) <= (1 - GOAL) * len(answers), wrong


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


@pytest.mark.parametrize("name", SETS)
def test_every_number_is_kept_under_its_name(name: str) -> None:
    lost = {expected["command"]: lost_numbers(expected, answer["actions"]) for expected, answer in answers_to(name)}
    assert not {command: numbers for command, numbers in lost.items() if numbers}


@pytest.mark.parametrize("name", SETS)
def test_nearly_every_effect_is_the_one_that_was_meant(name: str) -> None:
    answers = answers_to(name)
    wrong = [expected["command"] for expected, answer in answers if not has_effects(expected, answer["actions"])]
    assert len(wrong) <= (1 - GOAL) * len(answers), wrong
