"""A request of Anthropic's Messages API in the words of OpenAI's chat completions. Pure."""

from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json

from config.clients.switch import InvalidMessages

Json = dict[str, Any]

KNOWN = frozenset(
    {
        *("messages", "system", "max_tokens", "stop_sequences", "temperature", "top_p", "top_k", "metadata"),
        *("tools", "tool_choice", "thinking", "output_config", "service_tier", "cache_control"),
    }
)
"""What a provider that speaks this API is asked in the client's own words. Others need headers of their own that we do not send."""
MOST_MODEL_NAME = 512


def require_messages(asked: Any, *, counts_only: bool = False) -> Json:
    """The request, if it looks like one. Raises InvalidMessages that names what is wrong."""
    if not isinstance(asked, dict):
        raise InvalidMessages("the body must be a JSON object")
    model, messages, most = asked.get("model", "auto"), asked.get("messages"), asked.get("max_tokens")
    if not isinstance(model, str) or not 0 < len(model) <= MOST_MODEL_NAME:
        raise InvalidMessages(f"model: must be a name of 1 to {MOST_MODEL_NAME} characters")
    if not isinstance(messages, list) or not messages:
        raise InvalidMessages("messages: at least one message is required")
    if not counts_only and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise InvalidMessages("max_tokens: a number of at least 1 is required")
    if not isinstance(asked.get("stream", False), bool | None):
        raise InvalidMessages("stream: must be true or false")
    return asked


def own_words(asked: Json) -> Json:
    """The request as a provider of this API gets it: without thoughts of models that are not Anthropic's, which it would not believe."""
    return {name: value for name, value in asked.items() if name in KNOWN} | {
        "messages": [_without_foreign_thoughts(message) for message in asked["messages"]]
    }


def chat_completion(asked: Json) -> Json:
    """The same for everybody else.

    Raises InvalidMessages for what is wrong, and for tools that only Anthropic runs. What else has no place there (`thinking`, `top_k`,
    marks of the cache) are hints to Anthropic's models, and left out.
    """
    body: Json = {"messages": [*_system(asked.get("system")), *_messages(asked["messages"])]}
    if asked.get("max_tokens") is not None:
        body["max_tokens"] = asked["max_tokens"]
    for theirs, ours in (("temperature", "temperature"), ("top_p", "top_p"), ("stop_sequences", "stop")):
        if asked.get(theirs) is not None:
            body[ours] = asked[theirs]
    match asked.get("metadata"):
        case {"user_id": str(user)}:
            body["user"] = user
    match asked.get("output_config"):
        case {"format": {"type": "json_schema", "schema": dict(schema)}}:
            wanted = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    if asked.get("stream") is True:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body | _tools(asked)


# --- tools ---------------------------------------------------------------------------------------------------------


def _tools(asked: Json) -> Json:
    tools = _list(asked, "tools")
    if not tools:
        return {}
    body: Json = {"tools": [_tool(tool) for tool in tools]}
    choice = asked.get("tool_choice")
    match choice:
        case None | {"type": "auto"}:
            pass
        case {"type": "none"}:
            body["tool_choice"] = "none"
        case {"type": "any"}:
            body["tool_choice"] = "required"
        case {"type": "tool", "name": str(name)}:
            body["tool_choice"] = {"type": "function", "function": {"name": name}}
        case _:
            raise InvalidMessages("tool_choice: is none of auto, any, none, and a tool by name")
    if isinstance(choice, dict) and choice.get("disable_parallel_tool_use") is True:
        body["parallel_tool_calls"] = False
    return body


def _tool(tool: Any) -> Json:
    match tool:
        case {"name": str(name), "input_schema": dict(schema), **more}:
            function: Json = {"name": name, "parameters": schema}
            if isinstance(more.get("description"), str):
                function["description"] = more["description"]
            if more.get("strict") is True:
                function["strict"] = True
            return {"type": "function", "function": function}
        case {"type": str(kind)}:
            raise InvalidMessages(
                f"tools: {kind[:80]} is one that Anthropic runs; only tools with an input_schema work here"
            )
    raise InvalidMessages("tools: each needs a name and an input_schema")


# --- messages ------------------------------------------------------------------------------------------------------


def _system(system: Any) -> list[Json]:
    text = system if isinstance(system, str) else "\n\n".join(_text(block) for block in _blocks(system, "system"))
    return [{"role": "system", "content": text}] if text else []


def _messages(messages: Iterable[Any]) -> list[Json]:
    found: list[Json] = []
    for place, message in enumerate(messages):
        where = f"messages.{place}"
        match message:
            case {"role": "user", "content": content}:
                found += _user(_blocks(content, where))
            case {"role": "assistant", "content": content}:
                found.append(_assistant(_blocks(content, where)))
            case {"role": "system", "content": content}:
                found += _system(content)
            case _:
                raise InvalidMessages(f"{where}: needs a role (user or assistant) and content")
    return found


def _user(blocks: list[Json]) -> list[Json]:
    """What tools gave comes first, each as a message of its own; pictures among it come after, for there they may be texts only."""
    results: list[Json] = []
    parts: list[Json] = []
    for block in blocks:
        match block:
            case {"type": "tool_result", "tool_use_id": str(call_id), **more}:
                inner = [_part(one) for one in _blocks(more.get("content"), "tool_result")]
                text = "\n".join(part["text"] for part in inner if part["type"] == "text")
                text = f"error: {text}" if more.get("is_error") is True else text
                results.append({"role": "tool", "tool_call_id": call_id, "content": text})
                parts += [part for part in inner if part["type"] != "text"]
            case _:
                parts.append(_part(block))
    if not parts:
        return results
    is_plain = len(parts) == 1 and parts[0]["type"] == "text"
    return [*results, {"role": "user", "content": parts[0]["text"] if is_plain else parts}]


def _assistant(blocks: list[Json]) -> Json:
    texts, thoughts, calls = list[str](), list[str](), list[Json]()
    for block in blocks:
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": str(thought)} if not block.get("signature"):
                thoughts.append(thought)  # not Anthropic's: DeepSeek wants its own back with the calls they led to
            case {"type": "tool_use", "id": str(call_id), "name": str(name)}:
                written = to_json(block.get("input") or {}).decode()
                calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": written}})
    message: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if calls:
        message["tool_calls"] = calls
        if thoughts:
            message["reasoning_content"] = "".join(thoughts)
    return message


def _part(block: Json) -> Json:
    match block:
        case {"type": "text", "text": str(text)}:
            return _words(text)
        case {"type": "image", "source": dict(source)}:
            return {"type": "image_url", "image_url": {"url": _url(source)}}
        case {"type": "document", "source": {"type": "text", "data": str(text)}}:
            return _words(text)
        case {"type": "document", "source": {"type": "content", "content": content}}:
            return _words("\n".join(_text(one) for one in _blocks(content, "document")))
        case {"type": "document", "source": dict(source), **more}:
            name = more.get("title") if isinstance(more.get("title"), str) else "document.pdf"
            return {"type": "file", "file": {"filename": name, "file_data": _url(source)}}
        case {"type": "search_result", "content": content, **more}:
            head = f"{more.get('title') or ''} ({more.get('source') or ''})"
            return _words("\n".join([head, *(_text(one) for one in _blocks(content, "search_result"))]))
    raise InvalidMessages(f"content: blocks of the type {str(block.get('type'))[:40]!r} are not taken here")


def _url(source: Json) -> str:
    match source:
        case {"type": "base64", "media_type": str(media_type), "data": str(data)}:
            return f"data:{media_type};base64,{data}"
        case {"type": "url", "url": str(url)}:
            return url
    raise InvalidMessages("source: must be base64 with a media_type, or a url")


def _words(text: str) -> Json:
    return {"type": "text", "text": text}


def _text(block: Json) -> str:
    text = block.get("text")
    if not isinstance(text, str):
        raise InvalidMessages("content: only blocks of text are taken here")
    return text


def _blocks(content: Any, where: str) -> list[Json]:
    if content is None:
        return []
    if isinstance(content, str):
        return [_words(content)]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise InvalidMessages(f"{where}: content is a text or a list of blocks")
    return content


def _list(asked: Json, name: str) -> list[Any]:
    value = asked.get(name)
    if value is not None and not isinstance(value, list):
        raise InvalidMessages(f"{name}: must be a list")
    return value or []


def _without_foreign_thoughts(message: Any) -> Any:
    match message:
        case {"role": "assistant", "content": list(blocks)}:
            return message | {"content": [block for block in blocks if not _is_foreign_thought(block)]}
    return message


def _is_foreign_thought(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")
