"""An unclear message may be read a second time by a provider's model; what comes back is believed only as far as it should be."""

import json

import httpx
import pytest

UNCLEAR = "lo de siempre con lo de ayer, ya sabes"


async def ask(madre) -> dict:
    reply = await madre.post("/madre/chat", json={"message": UNCLEAR, "wait_seconds": 20})
    assert reply.status_code in (200, 202), reply.text
    return reply.json()


async def test_without_a_provider_only_the_local_reading_counts(madre, switch):
    body = await ask(madre)
    assert body["status"] == "WAITING"
    assert body["question"]
    assert not [request for request in switch.asked if request.url.path == "/switch/route"]


async def test_a_providers_sure_reading_is_taken(madre, switch):
    switch.provider, switch.text = "acme", json.dumps({"name": "fleet_status", "confidence": 0.9})
    body = await ask(madre)
    assert body["plan"]["intent"]["name"] == "fleet_status"
    assert body["plan"]["intent"]["source"] == "switch"


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "delete_resource", "confidence": 1.0}',
        '{"name": "run_process", "confidence": 1.0}',
        '{"name": "make_coffee", "confidence": 1.0}',
        '{"name": "fleet_status", "confidence": 0.2}',
        '{"name": "fleet_status", "confidence": 7}',
        "sure, I would say it is a status request",
        "",
    ],
    ids=["delete", "run", "no such intent", "unsure", "impossible confidence", "prose", "nothing"],
)
async def test_what_should_not_be_believed_is_not(madre, switch, text):
    switch.provider, switch.text = "acme", text
    body = await ask(madre)
    assert body["status"] == "WAITING"
    assert body["plan"] is None


@pytest.mark.parametrize(
    "fault", [httpx.ConnectError("down"), httpx.Response(200, text="<html>")], ids=["down", "garbage"]
)
async def test_a_switch_unwell_leaves_the_local_reading(madre, switch, fault):
    switch.fault = fault
    assert (await ask(madre))["status"] == "WAITING"
