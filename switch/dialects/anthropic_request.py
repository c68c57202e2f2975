"""A chat completion's request in the words of Anthropic's Messages API (version 2023-06-01)."""

import re
from collections.abc import Iterable
from typing import Any

from switch.dialects.dialect import Unmappable
from switch.dialects.openai_shape import Json
from switch.dialects.parts import arguments_of, is_set, listed, no_words_for, number, of_data_url, text_of

USUAL_MAX_TOKENS = 4096  # where neither the request nor what is known of the model tells: the API insists on a number
ANSWER_TOOL = "answer_in_json"
"""The tool through which an answer that must follow a JSON schema is asked for."""
IN_JSON = "Answer with one JSON object and nothing else: no words before or after it, no code fence."
WITHOUT_WORDS = (
    *("audio", "functions", "function_call", "logit_bias", "web_search_options"),
    *("frequency_penalty", "presence_penalty", "logprobs", "top_logprobs"),
)
"""Members that the API cannot express and that would change the answer. The rest that it cannot are hints, by OpenAI's own word (`seed`
is tried at best, `user` and `metadata` are for the books, `prediction` and `service_tier` for speed)."""
EFFORT_TOKENS = {"minimal": 1024, "low": 1024, "medium": 4096, "high": 16_384, "xhigh": 32_768}
"""Tokens for thinking by `reasoning_effort`; the API takes 1024 and more."""
LEAST_THINKING = 1024
MODERN = re.compile(r"claude-(?!3|(?:opus|sonnet|haiku)-4(?:-[0-6])?(?:-\d{8}|-latest)?$)")
"""Models after Claude 4.6: they choose how long they think by `effort`, and take no temperature. Others who speak this API are not among
them."""
SAMPLING = ("temperature", "top_p", "top_k")
NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
"""What ids of calls may not hold here; other providers' do."""
NOT_IN_SCHEMAS = frozenset(
    {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength"),
        *("minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "patternProperties", "default"),
    }
)
"""Keywords that structured outputs refuse."""


def messages_request(body: Json, model: str, *, most_output: int | None, is_stream: bool) -> Json:
    """The request. `most_output` is the longest answer of the model, where it is known. Raises Unmappable."""
    _refuse_what_has_no_words(body)
    is_modern = MODERN.search(model) is not None
    system, messages = _conversation(listed(body, "messages"))
    max_tokens = number(body, "max_completion_tokens") or number(body, "max_tokens") or most_output or USUAL_MAX_TOKENS
    asked: Json = {"model": model, "messages": messages, "max_tokens": max_tokens}
    if is_stream:
        asked["stream"] = True
    if is_set(stop := body.get("stop")):
        asked["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if not is_modern:
        asked |= _sampling(body)
    asked |= _tools(body)
    _shape_of_answer(body, asked, system, uses_tool=wants_answer_tool(body, model))
    if system:
        asked["system"] = system
    if not messages:  # OpenAI answers to a system message alone
        asked["messages"] = [{"role": "user", "content": asked.pop("system", [])}]
    _thinking(body, asked, is_modern=is_modern)
    if is_set(user := body.get("safety_identifier") or body.get("user")):
        asked["metadata"] = {"user_id": str(user)}
    return asked


def wants_answer_tool(body: Json, model: str) -> bool:
    """Whether the answer is asked for through `ANSWER_TOOL`: a schema that is to be followed as well as can be.

    A strict schema, and any for a modern model, goes to the API's own structured outputs. With a tool that must be called the model may
    not answer now at all.
    """
    match body.get("response_format"):
        case {"type": "json_schema", "json_schema": dict(wanted)} if not wanted.get("strict"):
            return MODERN.search(model) is None and body.get("tool_choice") in ("auto", "none", None)
    return False


def _refuse_what_has_no_words(body: Json) -> None:
    for name in WITHOUT_WORDS:
        if is_set(body.get(name)):
            raise no_words_for(name)
    if body.get("n") not in (None, 1):
        raise Unmappable("this model gives one answer at a time: ask without n", "n")
    if "audio" in listed(body, "modalities"):
        raise Unmappable("this model does not speak: ask without the modality audio", "modalities")


def _sampling(body: Json) -> Json:
    asked: Json = {}
    if (temperature := number(body, "temperature")) is not None:
        asked["temperature"] = min(temperature, 1.0)  # theirs ends where OpenAI's is half way: more is only more random
    elif (top_p := number(body, "top_p")) is not None:
        asked["top_p"] = top_p  # not with a temperature: since Claude 4.1 both at once are refused
    if (top_k := number(body, "top_k")) is not None:
        asked["top_k"] = top_k
    return asked


def _thinking(body: Json, asked: Json, *, is_modern: bool) -> None:
    """Thinking costs tokens of the answer's own; the API refuses it together with a tool that must be called, or a temperature."""
    given, effort = body.get("thinking"), str(body.get("reasoning_effort"))
    if isinstance(given, dict):
        asked["thinking"] = given
        return
    if effort not in EFFORT_TOKENS or asked.get("tool_choice", {}).get("type") in ("any", "tool"):
        return
    if is_modern:
        asked["thinking"] = {"type": "adaptive"}
        asked["output_config"] = asked.get("output_config", {}) | {"effort": "low" if effort == "minimal" else effort}
        return
    budget = EFFORT_TOKENS[effort]
    if (limit := number(body, "max_completion_tokens") or number(body, "max_tokens")) is not None:
        budget = min(
            budget, max(LEAST_THINKING, int(limit) - LEAST_THINKING)
        )  # a limit, and what is paid for, is for thoughts too
    asked["thinking"] = {"type": "enabled", "budget_tokens": budget}
    asked["max_tokens"] = max(asked["max_tokens"], budget + 1024)
    for name in SAMPLING:
        asked.pop(name, None)


# --- tools ---------------------------------------------------------------------------------------------------------


def _tools(body: Json) -> Json:
    tools = listed(body, "tools")
    if not tools:
        return {}
    asked: Json = {"tools": [_tool(tool) for tool in tools]}
    choice: Json | None = None
    match body.get("tool_choice"):
        case None | "auto":
            choice = {"type": "auto"} if body.get("parallel_tool_calls") is False else None
        case "none":
            choice = {"type": "none"}
        case "required":
            choice = {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            choice = {"type": "tool", "name": name}
        case _:
            raise Unmappable("tool_choice is none of auto, none, required and a function by name", "tool_choice")
    if choice is not None:
        if body.get("parallel_tool_calls") is False and choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
        asked["tool_choice"] = choice
    return asked


def _tool(tool: Any) -> Json:
    match tool:
        case {"type": "function", "function": {"name": str(name), **more}}:
            made: Json = {
                "name": name,
                "input_schema": {"type": "object"} | _schema(more.get("parameters")),
            }
            if more.get("description"):
                made["description"] = more["description"]
            if more.get("strict"):
                made["strict"] = True
            return made | _cache_mark(tool)
    raise Unmappable("this model takes tools of the type function only", "tools")


def _schema(given: Any) -> Json:
    if given is not None and not isinstance(given, dict):
        raise Unmappable("the parameters of a function are a JSON schema", "tools")
    return given or {"properties": {}}


def _shape_of_answer(body: Json, asked: Json, system: list[Json], *, uses_tool: bool) -> None:
    """What `response_format` wants: the API's structured outputs, a tool whose input is the answer, or a word to the model."""
    match body.get("response_format"):
        case None | {"type": "text"}:
            return
        case {"type": "json_object"}:
            system.append(_text(IN_JSON))
        case {"type": "json_schema", "json_schema": {"schema": dict(schema), **more}}:
            if uses_tool:
                _ask_through_a_tool(asked, schema, more.get("description"), body.get("tool_choice"))
            else:
                plain = schema if more.get("strict") else _plain(schema)
                asked["output_config"] = {"format": {"type": "json_schema", "schema": plain}}
        case _:
            raise Unmappable(
                "response_format is none of text, json_object and json_schema with a schema", "response_format"
            )


def _plain(schema: Any) -> Any:
    """The schema as structured outputs take it: closed objects, no bounds. What follows it follows the closer one but for the bounds, and
    a schema that is not strict is followed as well as can be."""
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: _plain(value) for name, value in schema.items() if name not in NOT_IN_SCHEMAS}
    if isinstance(schema.get("properties"), dict):  # whose names are no keywords
        kept["properties"] = {name: _plain(value) for name, value in schema["properties"].items()}
    return kept | {"additionalProperties": False} if schema.get("type") == "object" else kept


def _ask_through_a_tool(asked: Json, schema: Json, description: object, tool_choice: object) -> None:
    tool = {
        "name": ANSWER_TOOL,
        "description": description or "Gives the answer to the user. The input is the answer.",
        "input_schema": {"type": "object"} | schema,
    }
    others = asked.get("tools", [])
    asked["tools"] = [*others, tool]
    # with other tools at hand the model may call one of them first; it may not answer in any other way
    must = {"type": "any"} if others and tool_choice != "none" else {"type": "tool", "name": ANSWER_TOOL}
    is_single = asked.get("tool_choice", {}).get("disable_parallel_tool_use") or must["type"] == "tool"
    asked["tool_choice"] = must | ({"disable_parallel_tool_use": True} if is_single else {})


# --- messages ------------------------------------------------------------------------------------------------------


def _conversation(messages: Iterable[Any]) -> tuple[list[Json], list[Json]]:
    """The system's words, and the turns: neighbours of one role are one turn, for the API wants them to alternate."""
    system: list[Json] = []
    turns: list[Json] = []
    for message in messages:
        match message.get("role"):
            case "system" | "developer":
                system += _blocks(message.get("content"))
                continue
            case "user":
                role, blocks = "user", _blocks(message.get("content"))
            case "assistant":
                role, blocks = "assistant", _assistant(message)
            case "tool":
                role, blocks = "user", [_tool_result(message)]
            case other:
                raise Unmappable(f"this model knows no messages of the role {str(other)[:40]!r}", "messages")
        if not blocks:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    if turns and turns[-1]["role"] == "assistant":
        _trim(turns[-1]["content"])
    return system, turns


def _assistant(message: Json) -> list[Json]:
    # thoughts come back as they were given, signed; others (`reasoning_content`) the API would not believe
    blocks = [block for block in listed(message, "thinking_blocks") if isinstance(block, dict)]
    blocks += _blocks(message.get("content"))
    if is_set(refusal := message.get("refusal")):
        blocks.append(_text(str(refusal)))
    return blocks + [_tool_use(call) for call in listed(message, "tool_calls")]


def _tool_use(call: Any) -> Json:
    match call:
        case {"id": str(call_id), "function": {"name": str(name), **more}}:
            return {
                "type": "tool_use",
                "id": NOT_IN_IDS.sub("_", call_id),
                "name": name,
                "input": arguments_of(more.get("arguments")),
            }
    raise Unmappable("a tool call has an id and a function with a name", "messages")


def _tool_result(message: Json) -> Json:
    content = message.get("content")
    call_id = NOT_IN_IDS.sub("_", str(message.get("tool_call_id")))
    result: Json = {"type": "tool_result", "tool_use_id": call_id}
    return result | {"content": content if isinstance(content, str) else _blocks(content)} | _cache_mark(message)


def _blocks(content: Any) -> list[Json]:
    if content is None:
        return []
    if isinstance(content, str):
        return [_text(content)] if content else []  # the API refuses empty texts
    if not isinstance(content, list):
        raise Unmappable("content is a text or a list of parts", "messages")
    return [block for part in content if (block := _block(part)) is not None]


def _block(part: Any) -> Json | None:
    if (text := text_of(part)) is not None:
        return _text(text) | _cache_mark(part) if text else None
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return {"type": "image", "source": _source(url)} | _cache_mark(part)
        case {"type": "file", "file": {"file_data": str(url), **more}}:
            document: Json = {"type": "document", "source": _source(url)}
            return document | ({"title": more["filename"]} if more.get("filename") else {}) | _cache_mark(part)
    kind = part.get("type") if isinstance(part, dict) else part
    raise Unmappable(f"this model does not take parts of the type {str(kind)[:40]!r}", "messages")


def _source(url: str) -> Json:
    found = of_data_url(url)
    if found is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": found.media_type, "data": found.base64}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _cache_mark(holder: Any) -> Json:
    """The mark up to which the API keeps a prompt; clients write it where OpenAI's parts have room for more."""
    mark = holder.get("cache_control") if isinstance(holder, dict) else None
    return {"cache_control": mark} if isinstance(mark, dict) else {}


def _trim(blocks: list[Json]) -> None:
    """The API refuses an answer to be gone on with that ends in a space."""
    if blocks and blocks[-1].get("type") == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()
        if not blocks[-1]["text"]:
            blocks.pop()
