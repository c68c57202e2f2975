"""What a job writes, in pieces and live."""

import asyncio
import json

import httpx
import pytest

from tests.spawner.conftest import Running

TALKER = """
import sys
print("one", flush=True)
print("wrong", file=sys.stderr, flush=True)
open("told", "w").close()
import os, time
while not os.path.exists("go"): time.sleep(0.01)
print("two", flush=True)
"""


async def logs(spawner: Running, spawn_id: str, **params) -> dict:
    answer = await spawner.http.get(f"/spawner/spawn/{spawn_id}/logs", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def go_on(spawner: Running, spawn_id: str) -> None:
    """What a job of TALKER's waits for."""
    (spawner.app.state.folders.job(spawn_id) / "go").touch()


async def test_logs_are_read_piece_by_piece_while_the_job_runs(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.spawn("python3", "-c", TALKER)
        await spawner.writing(job["spawn_id"], "one\n")
        first = await logs(spawner, job["spawn_id"])
        assert (first["stdout"]["text"], first["stdout"]["is_complete"]) == ("one\n", False)
        go_on(spawner, job["spawn_id"])
        await spawner.finished(job["spawn_id"])
        rest = await logs(spawner, job["spawn_id"], stdout_offset=first["stdout"]["next_offset"])
        assert rest["stdout"] == {
            "spawn_id": job["spawn_id"],
            "stream": "stdout",
            "offset": 4,
            "text": "two\n",
            "next_offset": 8,
            "total_bytes": 8,
            "is_complete": True,
        }
        assert rest["stderr"]["text"] == "wrong\n"


async def test_pieces_are_cut_between_characters_and_broken_bytes_are_shown(spawner_at):
    async with spawner_at() as spawner:
        script = "import sys; sys.stdout.buffer.write('aé€😀'.encode() * 50 + b'\\xff\\x00end\\xe2\\x82')"
        job = await spawner.python(script)
        offset, text = 0, ""
        while True:
            piece = (await logs(spawner, job["spawn_id"], stdout_offset=offset, limit_bytes=4))["stdout"]
            text, offset = text + piece["text"], piece["next_offset"]
            if piece["is_complete"]:
                break
        assert text == "aé€😀" * 50 + "\ufffd\x00end\ufffd"
        assert job["stdout"] == text.replace("\x00", "\ufffd")


async def test_what_is_too_much_is_cut_counted_and_said(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.python("print('x' * 100_000)", max_output_bytes=70_000)
        assert (job["status"], job["truncated"], job["stdout_bytes"]) == ("DONE", True, 100_001)
        assert len(job["stdout"]) == 65_536
        kept = (await logs(spawner, job["spawn_id"], limit_bytes=1_000_000))["stdout"]
        assert (kept["total_bytes"], kept["is_complete"]) == (70_000, True)


async def test_a_job_that_waits_has_written_nothing_yet(spawner_at):
    async with spawner_at(spawner_concurrency=1) as spawner:
        await spawner.spawn("sleep", "60")
        waiting = await spawner.spawn("true")
        found = await logs(spawner, waiting["spawn_id"])
        assert (found["stdout"]["text"], found["stdout"]["is_complete"]) == ("", False)


def events_of(lines: str) -> list[tuple[str, str, dict]]:
    found = []
    for block in lines.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found


async def test_events_follow_a_job_to_its_end(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.spawn("python3", "-c", TALKER)
        following = asyncio.create_task(spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/events"))
        await spawner.writing(job["spawn_id"], "one\n")
        go_on(spawner, job["spawn_id"])
        events = events_of((await asyncio.wait_for(following, 30)).text)
        text = {
            stream: "".join(data["text"] for _, event, data in events if event == stream)
            for stream in ("stdout", "stderr")
        }
        assert text == {"stdout": "one\ntwo\n", "stderr": "wrong\n"}
        statuses = [data["status"] for _, event, data in events if event == "status"]
        assert statuses[-1] == "DONE"
        assert set(statuses[:-1]) <= {"PENDING", "RUNNING"}
        assert events[-1][2]["stdout"] == "one\ntwo\n"

        seen = next(number for number, event, data in events if event == "stdout")
        again = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/events", headers={"Last-Event-ID": seen})
        rest = events_of(again.text)
        assert "".join(data["text"] for _, event, data in rest if event == "stdout") == "two\n"
        assert rest[-1][1] == "status"


async def test_a_flood_reaches_its_follower_whole_up_to_what_is_kept(spawner_at):
    async with spawner_at() as spawner:
        script = "import sys\nfor n in range(20000): print(f'{n:099d}')"
        job = await spawner.spawn("python3", "-c", script, max_output_bytes=3_000_000)
        answer = await spawner.http.get(f"/spawner/spawn/{job['spawn_id']}/events")
        events = events_of(answer.text)
        text = "".join(data["text"] for _, event, data in events if event == "stdout")
        assert text == "".join(f"{n:099d}\n" for n in range(20000))
        offsets = [data["offset"] for _, event, data in events if event == "stdout"]
        assert offsets == sorted(set(offsets))


@pytest.mark.parametrize("query", ["stdout_offset=-1", "limit_bytes=3", "limit_bytes=99999999", "stderr_offset=x"])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_piece_that_cannot_be_is_refused(shared, query):
    job = await shared.run("true")
    answer: httpx.Response = await shared.http.get(f"/spawner/spawn/{job['spawn_id']}/logs?{query}")
    assert answer.status_code == 422


async def test_an_offset_beyond_the_end_gives_nothing(spawner_at):
    async with spawner_at() as spawner:
        job = await spawner.run("echo", "hi")
        found = (await logs(spawner, job["spawn_id"], stdout_offset=1000))["stdout"]
        assert (found["text"], found["offset"], found["is_complete"]) == ("", 3, True)
