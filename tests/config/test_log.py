"""Logs: one JSON object per line, and no secret in any of them."""

import json
import logging
from contextvars import copy_context

import pytest
import structlog
from pydantic import SecretStr

from config import log as logs

OWNER = "vx11_q8Rk2mX0v7-Zt5bYw3nLp9sD1fGh4jKc6aE0uIoT"


def read(capsys) -> list[dict]:
    """What was logged since, parsed line by line."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_carries_service_request_and_time(capsys):
    logs.configure()

    def log() -> None:
        logs.service.set("shub")
        logs.request_id.set("req_1")
        structlog.get_logger().info("mixed", stems=3, name="ñ 💽")

    copy_context().run(log)
    (line,) = read(capsys)
    assert line.items() >= {"event": "mixed", "stems": 3, "name": "ñ 💽", "level": "info"}.items()
    assert (line["service"], line["request_id"], line["at"][-1]) == ("shub", "req_1", "Z")


@pytest.mark.parametrize(
    "fields",
    [
        {"token": OWNER},
        {"confirm_token": "abc"},
        {"API_KEY": "abc"},
        {"api-key": "abc"},
        {"x_vx11_grant": "abc"},
        {"password": b"abc"},
        {"headers": {"Authorization": "Bearer abc", "X-VX11-Token": "abc"}},
        {"secrets": ["abc", {"value": "abc"}]},
        {"token": {"value": "abc"}},
        {"outer": [{"inner": {"client_secret": ("abc",)}}]},
        {"text": f"it said {OWNER} and left"},
        {"text": f"it said {OWNER} and left".encode()},
        {"text": "Authorization: Bearer abc.def"},
        {"text": "key sk-or-v1-0123456789abcdef0123"},
        {"text": "hf_0123456789abcdefghij and ghp_0123456789abcdefghij"},
        {"url": "postgresql://owner:abc@host/vx11"},
        {"error": ValueError(f"bad value {OWNER}")},
        {OWNER: 1},
        {"names": {OWNER: 1}},
        {"found": {f"it was {OWNER}"}},
        {"event": f"got {OWNER}"},
    ],
)
def test_secrets_do_not_get_through(capsys, fields):
    logs.configure()
    structlog.get_logger().info(**{"event": "seen"} | fields)
    text = json.dumps(read(capsys))
    for secret in (OWNER, "abc", "0123456789abcdef"):
        assert secret not in text
    assert "[redacted]" in text


def test_secrets_in_a_traceback_do_not_get_through(capsys):
    logs.configure()
    try:
        raise RuntimeError(f"refused {OWNER}")
    except RuntimeError:
        structlog.get_logger().exception("failed")
    (line,) = read(capsys)
    assert "RuntimeError: refused [redacted]" in line["exception"]


def test_what_libraries_log_comes_out_the_same_way(capsys):
    logs.configure()
    logging.getLogger("library").warning("sent %s", OWNER)
    logging.getLogger("library").info("not worth it")
    (line,) = read(capsys)
    assert line["event"] == "sent [redacted]"


def test_what_is_no_secret_stays(capsys):
    logs.configure()
    fields = {"prompt_tokens": 12, "token_count": 3.5, "has_token": True, "grant": None, "secret": SecretStr("abc")}
    structlog.get_logger().info("seen", **fields, path="/a/b", url="http://127.0.0.1:8000/x", tags=["a", {"b": 1}])
    (line,) = read(capsys)
    assert line.items() >= {"prompt_tokens": 12, "token_count": 3.5, "has_token": True, "grant": None}.items()
    assert (line["path"], line["url"], line["tags"]) == ("/a/b", "http://127.0.0.1:8000/x", ["a", {"b": 1}])
    assert line["secret"] == "[redacted]"
