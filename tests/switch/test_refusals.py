"""Which refusals are of one model, in the words in which providers say so, and which are of the request."""

import json

import pytest

from switch.refusals import is_of_the_model, words_of


def error(message: str, code: object = None, kind: str = "invalid_request_error") -> bytes:
    return json.dumps({"error": {"message": message, "type": kind, "code": code, "param": None}}).encode()


@pytest.mark.parametrize(
    "said",
    [
        error("Input tokens exceed the configured limit", "context_length_exceeded"),
        error("the request exceeds the available context size, try increasing it", 400, "exceed_context_size_error"),
        error("prompt is too long: 208310 tokens > 200000 maximum"),
        error("The input token count (1048577) exceeds the maximum number of tokens allowed (1048576)."),
        error("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 3051),
        error("Unsupported parameter: 'max_tokens' is not supported with this model.", "unsupported_parameter"),
        error("Unrecognized request argument supplied: reasoning_effort"),
        error("Extra inputs are not permitted, field: 'logit_bias'"),
        error("property 'logprobs' is unsupported"),
        error("This model does not support image input"),
        error("The model `llama3-8b` has been decommissioned", "model_decommissioned"),
        error("The model `gpt-9` does not exist or you do not have access to it."),
    ],
)
def test_these_are_of_the_model(said):
    assert is_of_the_model(400, said)


@pytest.mark.parametrize(
    "said",
    [
        error("temperature is too high", "bad_value"),
        error("Invalid value: 'robot'. Expected one of 'system', 'user'.", "invalid_value"),
        error("messages: at least one message is required"),
        error("Your request was flagged by our safety system", "content_policy_violation"),
        error("'foo' is not valid JSON" + " " * 3000 + "what is a context window?"),
        b"",
        b"[]",
        b'{"error": "context length"}',
    ],
)
def test_these_are_of_the_request(said):
    assert not is_of_the_model(400, said)


def test_a_request_too_large_for_one_may_not_be_for_another_and_other_statuses_say_nothing():
    assert is_of_the_model(413, b"")
    assert not is_of_the_model(409, error("", "context_length_exceeded"))


def test_its_words_are_one_line():
    assert words_of(error("too\nlong")) == "too long"
