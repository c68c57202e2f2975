"""A switch that is killed in the middle of a call: what the call may have cost stays spent."""

import asyncio
import json
import os
import signal
import sqlite3

import httpx
import pytest

from tests.switch.conftest import KEY, chat
from tests.switch.real_switch import RealSwitch


async def test_money_of_a_call_under_way_is_kept_through_a_kill(forks, state_dir, owner_headers, upstream):
    environment = {
        "VX11_PROVIDERS": json.dumps({"mock": {"base_url": upstream.base_url, "api_key": KEY}}),
        "VX11_SWITCH_PRICES": json.dumps({"mock/gpt": {"input": 1, "output": 10}}),
        "VX11_SWITCH_BUDGET_USD_PER_DAY": "0.02",
        "VX11_SWITCH_LOOK_FOR_SERVERS_EVERY": "PT0S",
        "VX11_LIGHT_MODEL_PATH": str(state_dir / "none.gguf"),
    }

    def started() -> RealSwitch:
        return RealSwitch(forks, state_dir, owner_headers, **environment)

    upstream.behaviours = ["fine", "silent"]
    switch = await asyncio.to_thread(started)
    asked = chat(max_tokens=1000)
    paid = await asyncio.to_thread(switch.client.post, "/v1/chat/completions", json=asked)
    assert paid.status_code == 200
    upstream.arrived.clear()
    waiting = asyncio.create_task(asyncio.to_thread(switch.client.post, "/v1/chat/completions", json=asked))
    await asyncio.wait_for(upstream.arrived.wait(), 60)
    os.kill(switch.process.pid, signal.SIGKILL)
    await asyncio.to_thread(switch.process.wait)
    with pytest.raises(httpx.TransportError):
        await waiting
    switch.client.close()

    switch = await asyncio.to_thread(started)
    try:
        with sqlite3.connect(state_dir / "vx11.db") as db:
            assert db.execute("SELECT state FROM spend_ledger WHERE kind = 'block'").fetchall() == [("assumed",)]
        (day,) = (await asyncio.to_thread(switch.client.get, "/switch/budget")).json()["items"]
        assert day["spent_usd"] + day["reserved_usd"] >= 0.01 + 0.000065
        refused = await asyncio.to_thread(switch.client.post, "/v1/chat/completions", json=asked)
        assert (refused.status_code, refused.json()["error"]["code"]) == (402, "budget_exceeded")
        assert len(upstream.asked) == 2
    finally:
        await asyncio.to_thread(switch.stop)
