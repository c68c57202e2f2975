"""Tools asked of models of this machine: they reach those that can call them, and are never passed over in silence."""

import pytest

from tests.fakes.model_files import TEMPLATE, gguf
from tests.switch.conftest import openai_error
from tests.switch.local.conftest import OpensBox

TOOL = {"name": "look_up", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": TOOL}]


@pytest.mark.parametrize("asked", [{"tools": TOOLS}, {"functions": [TOOL]}])
async def test_a_model_whose_template_has_no_place_for_tools_refuses_them_without_being_loaded(box: OpensBox, asked):
    async with box() as up:
        await up.add("a")
        [name] = asked
        error = openai_error(await up.ask("a", **asked), 400, "unsupported_by_model")
        assert error["param"] == name
        assert "the template of a has no words" in error["message"]
        assert "it does not call tools" in openai_error(await up.ask("auto", **asked), 422, "model_refused")["message"]
        assert up.loads == []


async def test_tools_that_must_not_be_called_are_in_nobodys_way(box: OpensBox):
    async with box() as up:
        await up.add("a")
        assert (await up.ask("a", tools=TOOLS, tool_choice="none")).status_code == 200


async def test_a_model_whose_template_has_one_gets_them(box: OpensBox):
    async with box() as up:
        await up.add("a", content=gguf(chat_template=TEMPLATE + "{% if tools %}{{ tools }}{% endif %}"))
        for model in ("a", "auto"):
            answer = await up.ask(model, tools=TOOLS)
            assert answer.json()["choices"][0]["message"]["content"] == "a says hello with 1 tools"
        assert openai_error(await up.ask("a", functions=[TOOL]), 400, "unsupported_by_model")["param"] == "functions"
