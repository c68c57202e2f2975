"""A chat completion's request in the words of Gemini's `generateContent` (v1beta)."""

import mimetypes
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from switch.dialects.dialect import Unmappable
from switch.dialects.openai_shape import Json
from switch.dialects.parts import arguments_of, is_set, listed, no_words_for, number, of_data_url, text_of

WITHOUT_WORDS = ("audio", "functions", "function_call", "logit_bias", "logprobs", "top_logprobs", "web_search_options")
"""Members that would change the answer and cannot be expressed. Others that cannot (`user`, `metadata`, `store`) are for the books."""
NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
    "n": "candidateCount",
}
EFFORT_TOKENS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24_576, "xhigh": 24_576}
"""Tokens for thinking by `reasoning_effort`, for models before Gemini 3. Source: Gemini's page on compatibility with OpenAI."""
THINKS_BY_LEVEL = re.compile(r"gemini-[3-9]")
LEVEL = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
UNSIGNED = "skip_thought_signature_validator"
"""What Gemini 3 takes in place of its signature under a function call that comes from elsewhere (its page on thought signatures)."""


def generate_request(body: Json, model: str) -> Json:
    """The request. Raises Unmappable."""
    for name in WITHOUT_WORDS:
        if is_set(body.get(name)):
            raise no_words_for(name)
    if "audio" in listed(body, "modalities"):
        raise Unmappable("this model does not speak: ask without the modality audio", "modalities")
    system, contents = _conversation(listed(body, "messages"), signs_calls=THINKS_BY_LEVEL.search(model) is not None)
    asked: Json = {"contents": contents}
    if system:
        asked["systemInstruction"] = {"parts": system}
    if not contents:  # OpenAI answers to a system message alone
        asked["contents"] = [{"role": "user", **asked.pop("systemInstruction", {"parts": []})}]
    asked |= _tools(body)
    if config := _config(body, model):
        asked["generationConfig"] = config
    return asked


def _config(body: Json, model: str) -> Json:
    config: Json = {theirs: value for ours, theirs in NAMES.items() if (value := number(body, ours)) is not None}
    if (most := number(body, "max_completion_tokens") or number(body, "max_tokens")) is not None:
        config["maxOutputTokens"] = most
    if is_set(stop := body.get("stop")):
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    match body.get("response_format"):
        case None | {"type": "text"}:
            pass
        case {"type": "json_object"}:
            config["responseMimeType"] = "application/json"
        case {"type": "json_schema", "json_schema": {"schema": dict(schema)}}:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case _:
            raise Unmappable(
                "response_format is none of text, json_object and json_schema with a schema", "response_format"
            )
    effort = str(body.get("reasoning_effort"))
    if effort in LEVEL:
        is_newer = THINKS_BY_LEVEL.search(model) is not None
        thinking: Json = {"thinkingLevel": LEVEL[effort]} if is_newer else {"thinkingBudget": EFFORT_TOKENS[effort]}
        config["thinkingConfig"] = thinking | {"includeThoughts": effort != "none"}
    return config


# --- tools ---------------------------------------------------------------------------------------------------------


def _tools(body: Json) -> Json:
    tools = listed(body, "tools")
    if not tools:
        return {}
    asked: Json = {"tools": [{"functionDeclarations": [_declaration(tool) for tool in tools]}]}
    config: Json
    match body.get("tool_choice"):
        case None | "auto":
            return asked
        case "none":
            config = {"mode": "NONE"}
        case "required":
            config = {"mode": "ANY"}
        case {"type": "function", "function": {"name": str(name)}}:
            config = {"mode": "ANY", "allowedFunctionNames": [name]}
        case _:
            raise Unmappable("tool_choice is none of auto, none, required and a function by name", "tool_choice")
    return asked | {"toolConfig": {"functionCallingConfig": config}}


def _declaration(tool: Any) -> Json:
    match tool:
        case {"type": "function", "function": {"name": str(name), **more}}:
            made: Json = {"name": name, "description": more.get("description") or name}
            if is_set(schema := more.get("parameters")):
                made["parametersJsonSchema"] = schema
            return made
    raise Unmappable("this model takes tools of the type function only", "tools")


# --- messages ------------------------------------------------------------------------------------------------------


def _conversation(messages: Iterable[Any], *, signs_calls: bool) -> tuple[list[Json], list[Json]]:
    """The system's words, and the turns: neighbours of one role are one turn."""
    system: list[Json] = []
    turns: list[Json] = []
    names: dict[str, str] = {}
    for message in messages:
        match message.get("role"):
            case "system" | "developer":
                system += _parts(message.get("content"))
                continue
            case "user":
                role, parts = "user", _parts(message.get("content"))
            case "assistant":
                role, parts = "model", _model_turn(message, names, signs_calls=signs_calls)
            case "tool":
                role, parts = "user", _tool_result(message, names)
            case other:
                raise Unmappable(f"this model knows no messages of the role {str(other)[:40]!r}", "messages")
        if not parts:
            continue
        if turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": role, "parts": parts})
    return system, turns


def _model_turn(message: Json, names: dict[str, str], *, signs_calls: bool) -> list[Json]:
    parts = _parts(message.get("content"))
    is_first = True
    for call in listed(message, "tool_calls"):
        match call:
            case {"id": str(call_id), "function": {"name": str(name), **more}}:
                names[call_id] = name
                given = arguments_of(more.get("arguments"))
                part: Json = {"functionCall": {"id": call_id, "name": name, "args": given}}
            case _:
                raise Unmappable("a tool call has an id and a function with a name", "messages")
        match call.get("extra_content"):
            case {"google": {"thought_signature": str(signature)}}:
                part["thoughtSignature"] = signature
            case _ if signs_calls and is_first:  # of calls side by side the first is signed
                part["thoughtSignature"] = UNSIGNED
        is_first = False
        parts.append(part)
    return parts


def _tool_result(message: Json, names: dict[str, str]) -> list[Json]:
    call_id = message.get("tool_call_id")
    name = names.get(call_id, "") if isinstance(call_id, str) else ""
    if not name:
        raise Unmappable(f"there is no call {str(call_id)[:80]!r} before its result", "messages")
    content = message.get("content")
    parts = [{"text": content}] if isinstance(content, str) else _parts(content)
    text = "".join(part.get("text", "") for part in parts)
    answer: Json = {"functionResponse": {"id": call_id, "name": name, "response": _response(text)}}
    return [answer, *(part for part in parts if "text" not in part)]


def _response(text: str) -> Json:
    try:
        found = from_json(text)
    except ValueError:
        found = text
    return found if isinstance(found, dict) else {"output": found}


def _parts(content: Any) -> list[Json]:
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}] if content else []
    if not isinstance(content, list):
        raise Unmappable("content is a text or a list of parts", "messages")
    return [found for part in content if (found := _part(part)) is not None]


def _part(part: Any) -> Json | None:
    if (text := text_of(part)) is not None:
        return {"text": text} if text else None
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _file(url, "image/jpeg")
        case {"type": "file", "file": {"file_data": str(url)}}:
            return _file(url, "application/pdf")
        case {"type": "video_url", "video_url": {"url": str(url)}}:
            return _file(url, "video/mp4")
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(kind)}}:
            return {"inlineData": {"mimeType": f"audio/{kind}", "data": data}}
    what = part.get("type") if isinstance(part, dict) else part
    raise Unmappable(f"this model does not take parts of the type {str(what)[:40]!r}", "messages")


def _file(url: str, usual_type: str) -> Json:
    found = of_data_url(url)
    if found is not None:
        return {"inlineData": {"mimeType": found.media_type, "data": found.base64}}
    guessed, _ = mimetypes.guess_type(url.partition("?")[0])
    return {"fileData": {"mimeType": guessed or usual_type, "fileUri": url}}
