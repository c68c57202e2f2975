"""Local models through switch's door: loaded when asked, in turn within the memory there is, and never at another's cost."""

import asyncio
import json
import os
import signal
from pathlib import Path

from switch.local import registered
from switch.local.process import Order
from switch.local.registered import RegisteredModel, TrialUnfinished
from switch.local.trial import Trial
from tests.fakes.model_files import gguf
from tests.switch.conftest import openai_error, problem
from tests.switch.local.conftest import ONE, PATH, TWO, OpensBox
from tests.switch.real_switch import is_alive


async def test_models_of_the_registry_answer_by_their_names(box: OpensBox):
    async with box() as up:
        await up.add("a", "b", specialty="code", adjacent_fields=["debugging"], license="mit")
        listed = [one["id"] for one in (await up.client.get("/v1/models")).json()["data"]]
        assert {"a", "b"} <= set(listed)
        answer = await up.ask("a")
        assert answer.headers["x-vx11-model"] == "a"
        assert answer.json()["choices"][0]["message"]["content"] == "a says hello"
        assert await up.said("local/b") == "b says hello"
        status = (await up.client.get("/switch/status")).json()
        assert [one["path"] for one in status["loaded"]] == [str(up.folder / "b.gguf")]
        assert status["rotation"]["active"] == "b"
        assert status["queue"]["served"] == 2
        a = await up.model("a")
        assert (a["state"], a["role"], a["uses"], a["loads"], a["pid"]) == ("stopped", "none", 1, 1, None)
        assert a["last_used_at"] is not None
    assert not any(is_alive(pid) for pid in up.pids)


async def test_requests_for_one_model_are_answered_together(box: OpensBox):
    async with box() as up:
        await up.add("a", "b", "c")
        up.tell_load("a", "wait")
        asked = []
        for number, name in enumerate("abaacabc"):
            asked.append(asyncio.create_task(up.said(name, str(number))))
            await up.until_waiting(number + 1)
        queue = await up.queue()
        assert queue["by_model"] == {"a": 4, "b": 2, "c": 2}
        assert queue["oldest_waiting_ms"] > 0
        up.tell_load("a", None)
        answers = await asyncio.gather(*asked)
        assert answers == [f"{name} says {number}" for number, name in enumerate("abaacabc")]
        assert up.loads == ["a", "b", "c"]
        assert (await up.queue())["loads"] == 3


async def test_the_first_word_goes_out_before_the_model_has_the_second(box: OpensBox, tmp_path: Path):
    async with box() as up:
        await up.add("a")
        body = {"model": "a", "stream": True, "messages": [{"role": "user", "content": f"begin {tmp_path / 'go'}"}]}
        async with up.client.stream("POST", PATH, json=body) as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if '"one"' in line:
                    break
            (tmp_path / "go").touch()
            assert [line async for line in lines if line][-1] == "data: [DONE]"


async def test_two_that_fit_are_both_kept_and_one_that_goes_is_the_idle_one(box: OpensBox, tmp_path: Path):
    async with box(local_memory_mb=TWO) as up:
        await up.add("a", "b", "c")
        await up.said("a")
        held = asyncio.create_task(up.said("b", f"hold {tmp_path / 'go'}"))
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        found = await up.rotation()
        assert (found["active"], found["warm"]) == ("b", "a")
        assert 0 < found["used_bytes"] <= found["budget_bytes"]
        await up.said("c")  # not at the cost of b, which is busy, though it was asked before
        assert (await up.model("b"))["answering"] == 1
        (tmp_path / "go").touch()
        assert await held == f"b says {tmp_path / 'go'}"
        assert up.loads == ["a", "b", "c"]


async def test_a_busy_model_is_waited_for_and_those_who_wait_are_told_of(box: OpensBox, tmp_path: Path):
    async with box() as up:
        await up.add("a", "b")
        held = asyncio.create_task(up.said("a", f"hold {tmp_path / 'go'}"))
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        pid = (await up.model("a"))["pid"]
        waiting = asyncio.create_task(up.ask("b"))
        await up.until_waiting(1)
        assert (await up.model("b"))["waiting"] == 1
        assert (await up.model("a"))["pid"] == pid
        (tmp_path / "go").touch()
        await held
        answer = await waiting
        decision = (await up.client.get(f"/switch/decisions/{answer.headers['x-vx11-decision']}")).json()
        assert decision["queue_ms"] > 0
        assert not is_alive(pid)


async def test_a_full_queue_refuses_at_once_with_a_time_to_come_back(box: OpensBox):
    async with box(switch_queue_limit=1) as up:
        await up.add("a")
        up.tell_load("a", "wait")
        waiting = asyncio.create_task(up.said("a"))
        await up.until_waiting(1)
        refused = await up.ask("a")
        openai_error(refused, 503, "switch_busy")
        assert refused.headers["retry-after"] == "5"
        up.tell_load("a", None)
        await waiting
        assert (await up.queue())["rejected"] == 1


async def test_a_load_that_nobody_waits_for_any_more_is_broken_off(box: OpensBox):
    async with box() as up:
        await up.add("a")
        up.tell_load("a", "wait")
        waiting = asyncio.create_task(up.ask("a"))
        await up.until(lambda found: bool(up.loads))
        waiting.cancel()
        await up.until(lambda found: all(one["state"] == "stopped" for one in found["models"] if one["name"] == "a"))
        assert not is_alive(up.pids[0])
        assert (await up.queue())["waiting"] == 0
        up.tell_load("a", None)
        assert await up.said("a") == "a says hello"


async def test_requests_survive_the_death_of_the_process(box: OpensBox, tmp_path: Path):
    async with box() as up:
        await up.add("a")
        asked = [asyncio.create_task(up.said("a", f"hold {tmp_path / 'go'}"))]
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        asked.append(asyncio.create_task(up.said("a", "two")))
        await up.until_waiting(1)
        os.kill(up.pids[0], signal.SIGKILL)
        (tmp_path / "go").touch()
        assert len(await asyncio.gather(*asked)) == 2
        assert up.loads == ["a", "a"]


async def test_requests_survive_a_death_while_the_model_is_loaded(box: OpensBox):
    async with box() as up:
        await up.add("a")
        up.tell_load("a", "wait")
        asked = [asyncio.create_task(up.said("a", str(number))) for number in range(3)]
        await up.until_waiting(3)
        await up.until(lambda found: bool(up.loads))
        os.kill(up.pids[0], signal.SIGKILL)
        await up.until(lambda found: len(up.loads) == 2)
        up.tell_load("a", None)
        assert await asyncio.gather(*asked) == [f"a says {number}" for number in range(3)]


async def test_who_waits_for_a_model_that_is_put_out_of_use_is_told_at_once(box: OpensBox, tmp_path: Path):
    async with box() as up:
        await up.add("a", "b")
        held = asyncio.create_task(up.said("a", f"hold {tmp_path / 'go'}"))
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        waiting = asyncio.create_task(up.ask("b"))
        await up.until_waiting(1)
        await up.change("b", is_active=False)
        assert "not active" in openai_error(await waiting, 404, "model_not_found")["message"]
        (tmp_path / "go").touch()
        await held


async def test_a_model_that_cannot_be_loaded_says_why_and_others_go_on(box: OpensBox):
    async with box() as up:
        await up.add("a", "b")
        up.tell_load("a", "fail")
        failing, fine = await asyncio.gather(up.ask("a"), up.said("b"))
        assert "no room for the tensors" in openai_error(failing, 503, "no_model_reachable")["message"]
        assert fine == "b says hello"


async def test_a_trial_that_ran_out_of_time_is_held_again_after_a_pause_and_not_before(box: OpensBox, monkeypatch):
    ends = ["late", "late", "fine"]

    async def held(_trial: Trial, _order: Order, _sha256: str, _memory_bytes: int) -> str:
        if (end := ends.pop(0)) == "late":
            raise TrialUnfinished("its trial was not done within 300 seconds")
        return end

    monkeypatch.setattr(Trial, "__call__", held)
    async with box(local_try_out=True) as up:
        await up.add("a")
        assert "not done within" in openai_error(await up.ask("a"), 503, "no_model_reachable")["message"]
        assert (await up.model("a"))["state"] == "stopped"
        assert "held again in" in openai_error(await up.ask("a"), 503, "no_model_reachable")["message"]
        assert ends == ["late", "fine"]
        monkeypatch.setattr(registered, "FIRST_PAUSE_SECONDS", 0.0)
        assert "not done within" in openai_error(await up.ask("a"), 503, "no_model_reachable")["message"]
        assert await up.said("a") == "a says hello"
        assert (await up.model("a"))["detail"] == "fine"


async def test_a_model_can_be_made_the_active_one(box: OpensBox):
    async with box() as up:
        await up.add("a", "b")
        await up.said("a")
        up.tell_load("b", "wait")
        told = await up.client.post("/switch/rotate", json={"model": "b"})
        assert told.status_code == 202
        await up.until(lambda found: any(one["name"] == "b" and one["state"] == "loading" for one in found["models"]))
        up.tell_load("b", None)
        found = await up.until(lambda found: found["active"] == "b")
        assert [one["state"] for one in found["models"] if one["name"] in "ab"] == ["stopped", "ready"]
        assert (await up.queue())["served"] == 1  # an order is no request
        problem(await up.client.post("/switch/rotate", json={"model": "nobody"}), 404, "model_not_found")
        assert (await up.client.post("/switch/rotate")).status_code == 202  # nothing to choose: it stays as it is
        assert (await up.rotation())["active"] == "b"


async def test_who_may_only_read_may_not_rotate(box: OpensBox, fleet_headers: dict[str, str]):
    async with box() as up:
        reader = fleet_headers | {"X-VX11-Scopes": "switch:read", "X-VX11-Caller": "token:t1"}
        problem(await up.client.post("/switch/rotate", headers=reader), 403, "forbidden")
        assert (await up.client.get("/switch/rotation", headers=reader)).status_code == 200


async def test_what_cannot_be_asked_says_why_and_is_no_choice(box: OpensBox):
    async with box() as up:
        await up.add("vectors", content=gguf(architecture="bert", chat_template=None))
        await up.add("eyes", content=gguf(architecture="clip", chat_template=None))
        await up.add("base", content=gguf(chat_template=None))
        await up.add("broken", content=b"GGUF and so on")
        await up.add("huge", size_bytes=10**12)
        await up.add("weights", model_type="safetensors")
        details = {one["name"]: (one["state"], one["detail"]) for one in (await up.rotation())["models"]}
        assert "weights" not in details
        assert {state for name, (state, _) in details.items() if len(name) <= 7} == {"unusable"}
        assert "embedding" in details["vectors"][1]
        assert "part" in details["eyes"][1]
        assert "chat template" in details["base"][1]
        assert "cannot be read" in details["broken"][1]
        assert "it takes 1192156 MiB" in details["huge"][1]
        assert "VX11_LOCAL_MEMORY_MB" in details["huge"][1]
        listed = [one["id"] for one in (await up.client.get("/v1/models")).json()["data"]]
        assert not {"vectors", "eyes", "base", "broken", "huge"} & set(listed)
        assert "chat template" in openai_error(await up.ask("base"), 503, "no_model_reachable")["message"]
        assert (
            "chat template"
            in problem(await up.client.post("/switch/rotate", json={"model": "base"}), 409, "conflict")["detail"]
        )


async def test_a_model_that_is_put_out_of_use_goes_when_it_is_not_busy(box: OpensBox, tmp_path: Path):
    async with box() as up:
        await up.add("a")
        held = asyncio.create_task(up.said("a", f"hold {tmp_path / 'go'}"))
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        await up.change("a", is_active=False)
        assert [one["name"] for one in (await up.client.get("/switch/status")).json()["loaded"]] == ["a"]
        openai_error(await up.ask("a"), 404, "model_not_found")
        (tmp_path / "go").touch()
        await held
        await up.until(lambda found: all(one["name"] != "a" for one in found["models"]))
        assert (await up.client.get("/switch/status")).json()["loaded"] == []
        await up.change("a", is_active=True)
        assert await up.said("a") == "a says hello"


async def test_a_file_that_was_replaced_is_loaded_anew(box: OpensBox):
    async with box() as up:
        await up.add("a")
        await up.said("a")
        (up.folder / "a.gguf").write_bytes(gguf(name="another", parameters=8192))
        await up.refresh()
        assert await up.said("a") == "a says hello"
        assert up.loads == ["a", "a"]
        (up.folder / "a.gguf").unlink()
        await up.refresh()
        assert "cannot be read" in (await up.model("a"))["detail"]


async def test_a_file_with_another_checksum_is_not_loaded(box: OpensBox):
    async with box() as up:
        await up.add("a", sha256="ab" * 32)
        assert "SHA-256" in openai_error(await up.ask("a"), 503, "no_model_reachable")["message"]
        assert up.loads == []


async def test_unused_models_are_put_away(box: OpensBox):
    async with box(local_stop_after=0.2) as up:
        await up.add("a")
        await up.said("a")
        await up.until(lambda found: found["used_bytes"] == 0)
        assert not is_alive(up.pids[0])


async def test_a_model_that_is_often_asked_is_loaded_ahead(box: OpensBox):
    async with box(local_memory_mb=TWO, local_warm_after_uses=2, local_cooldown=0) as up:
        await up.add("a", "b")
        for _ in range(2):
            await up.said("a")
        os.kill(up.pids[0], signal.SIGKILL)  # nobody waits for it, so nobody brings it back but the policy
        await up.until(lambda found: found["used_bytes"] == 0 or up.loads == ["a", "a"])
        await up.until(lambda found: up.loads == ["a", "a"])
        assert (await up.until(lambda found: found["warm"] == "a"))["active"] is None


async def test_a_model_that_could_not_be_loaded_says_why_and_is_not_loaded_ahead(box: OpensBox, monkeypatch):
    prepared: list[str] = []

    async def prepare(model: RegisteredModel) -> Order:
        prepared.append(model.model)
        return await as_it_is(model)

    as_it_is = RegisteredModel.prepare
    monkeypatch.setattr(RegisteredModel, "prepare", prepare)
    async with box(local_warm_after_uses=1) as up:
        await up.add("a", sha256="ab" * 32)
        await up.add("b")
        await up.ask("a")
        await up.until_waiting(0)  # switch has had time for what it wants to do by itself
        assert prepared == ["a"]
        assert "SHA-256" in (await up.model("a"))["detail"]
        await up.said("b")
        await up.refresh()
        assert (await up.model("a"))["detail"] == ""


async def test_a_model_that_turns_out_to_be_larger_than_it_may_be_is_put_away(box: OpensBox):
    async with box(local_memory_mb=70) as up:  # its file promises less than that
        await up.add("a")
        assert "70 MiB" in openai_error(await up.ask("a"), 503, "no_model_reachable")["message"]
        found = await up.until(lambda found: found["used_bytes"] == 0)
        assert [one["state"] for one in found["models"] if one["name"] == "a"] == ["unusable"]
        assert not is_alive(up.pids[0])


async def test_what_a_model_took_is_remembered_over_restarts(box: OpensBox, state_dir: Path):
    async with box() as up:
        await up.add("a")
        estimated = (await up.model("a"))["memory_bytes"]
        await up.said("a")
        measured = (await up.model("a"))["memory_bytes"]
        assert measured != estimated
        assert measured > 60 * 1024 * 1024
    [kept] = json.loads((state_dir / "models" / "local.json").read_text()).values()
    assert list(kept["measured"].values()) == [measured]
    async with box() as again:
        await again.refresh()
        await again.said("a")
        assert (await again.model("a"))["memory_bytes"] >= measured


async def test_with_no_memory_given_there_are_no_such_models(box: OpensBox):
    async with box(local_memory_mb=0) as up:
        await up.add("a")
        assert "0 MiB" in (await up.model("a"))["detail"]


assert ONE < TWO
