"""HTTP in, HTTP out: commands in words."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from config.auth import CallerDep
from config.contracts.shub_language import Interpretation, InterpretRequest
from shub.language.interpreting import Interpreter

language_router = APIRouter(tags=["language"])


async def _interpreter(request: Request) -> Interpreter:
    interpreter: Interpreter = request.app.state.interpreter
    return interpreter


InterpreterDep = Annotated[Interpreter, Depends(_interpreter)]


@language_router.post("/interpret", summary="Read a command in Spanish or English as actions with units")
async def interpret(body: InterpretRequest, caller: CallerDep, interpreter: InterpreterDep) -> Interpretation:
    """Nothing is done. By rules, in a few milliseconds; a model is asked only where they are unsure and `ask_model` allows it."""
    return await interpreter.interpret(body)
