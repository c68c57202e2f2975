"""Budgets and prices in the settings: what is wrong with them is said when switch starts, not when money is gone."""

import pytest
from pydantic import ValidationError

from config.settings import settings_problem
from switch.money.budgets import growth, scope_of
from switch.settings import SwitchSettings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"switch_budgets": {"tok_a": 1}}, "write token:<caller> or task:<type of task>"),
        ({"switch_budgets": {"token:": 1}}, "write token:<caller> or task:<type of task>"),
        ({"switch_budgets": {"task:two words": 1}}, "write token:<caller> or task:<type of task>"),
        ({"switch_budgets": {"day": 1}}, "write token:<caller> or task:<type of task>"),
        ({"switch_budgets": {"task:code": -1}}, "the budget task:code must be 0 to"),
        ({"switch_budgets": {"task:code": float("nan")}}, "the budget task:code must be 0 to"),
        ({"switch_budget_usd_per_day": -0.01}, "greater than or equal to 0"),
        ({"switch_prices": {"gpt": {"input": 1, "output": 1}}}, "write <provider>/<model>"),
        ({"switch_prices": {"/gpt": {"input": 1, "output": 1}}}, "write <provider>/<model>"),
        ({"switch_prices": {"a/gpt": {"input": 1}}}, "needs input and output"),
        ({"switch_prices": {"a/gpt": {"input": 1, "output": 1, "outptu": 1}}}, "may have cached_input and cache_write"),
        ({"switch_prices": {"a/gpt": {"input": 1, "output": -1}}}, "must be 0 to"),
        ({"switch_prices": {"a/gpt": {"input": 1, "output": float("inf")}}}, "must be 0 to"),
    ],
)
def test_what_is_wrong_is_said(given, said):
    with pytest.raises(ValidationError) as refused:
        SwitchSettings(**given, _env_file=None)
    assert said in settings_problem(refused.value)


def test_what_is_right_is_taken():
    given = {"token:owner": 1, "token:tok_0123": 0.5, "token:madre": 2, "task:code": 0}
    prices = {"openrouter/openai/gpt-4o": {"input": 2.5, "output": 10}}
    settings = SwitchSettings(switch_budgets=given, switch_prices=prices, _env_file=None)
    assert settings.switch_budgets == given


def test_a_client_is_named_once():
    assert [scope_of(caller) for caller in ("token:tok_1", "owner", "madre")] == [
        "token:tok_1",
        "token:owner",
        "token:madre",
    ]


@pytest.mark.parametrize(
    ("short", "waiting", "spent", "left", "grown"),
    [
        (10, 10, 0, None, 80),  # this call, and seven like it
        (10, 500, 0, None, 570),  # and all that wait
        (10, 10, 1000, None, 1010),  # what is used much grows more
        (10, 10, 0, 10, 10),  # the last of a budget
        (10, 500, 0, 100, 100),
        (10, 10, 1000, 330, 20),  # a thirty-second part of what the budget has left
    ],
)
def test_a_block_grows_by_what_is_needed_and_some_more(short, waiting, spent, left, grown):
    assert growth(short, waiting, spent, left) == grown
