"""Inputs that are assets of shub's."""

import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from config.clients.shub import ShubClient
from tests.fakes.line import over

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def shub_says(monkeypatch):
    """Answers in shub's place, to the client as it really is."""

    def say(answer_of) -> None:
        init = ShubClient.__init__

        def with_line(self, *args, **options):
            init(self, *args, **(options | {"line": over(httpx.MockTransport(answer_of))}))

        monkeypatch.setattr(ShubClient, "__init__", with_line)

    return say


def problem_of(code: str, status: int) -> httpx.Response:
    body = {"type": f"/errors/{code}", "title": "", "status": status, "detail": "gone", "service": "shub"}
    return httpx.Response(status, json=body, headers={"content-type": "application/problem+json"})


async def test_an_asset_lies_in_the_folder_when_the_job_starts(spawner_at, shub_says):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.path, request.headers["x-vx11-caller"]))

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(CONTENT), 10_000):
                yield CONTENT[start : start + 10_000]

        return httpx.Response(200, content=pieces())

    shub_says(answer)
    async with spawner_at() as spawner:
        script = "import hashlib; print(hashlib.sha256(open('in/a.wav', 'rb').read()).hexdigest())"
        job = await spawner.python(script, files=[{"path": "in/a.wav", "asset_id": "asset_1"}])
        assert job["stdout"].strip() == hashlib.sha256(CONTENT).hexdigest(), job
    assert asked == [("/shub/assets/asset_1/content", "spawner")]


@pytest.mark.parametrize(
    ("answer", "request_", "attempts", "said"),
    [
        (problem_of("asset_not_found", 404), {}, 1, "gone"),
        (problem_of("asset_not_found", 404), {"retries": 1}, 1, "gone"),
        (httpx.ConnectError("down"), {"retries": 1}, 2, "cannot be reached"),
        (httpx.Response(200, content=bytes(2 * 1024 * 1024)), {"max_disk_mb": 1}, 1, "larger than max_disk_mb"),
    ],
)
async def test_one_that_cannot_be_had_means_that_the_job_is_not_started(
    spawner_at, shub_says, answer, request_, attempts, said
):
    def say(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    shub_says(say)
    async with spawner_at() as spawner:
        job = await spawner.run("true", files=[{"path": "a", "asset_id": "asset_1"}], **request_)
        assert (job["status"], job["reason"], job["protections"]) == ("ERROR", "refused", None), job
        assert job["attempt"] == attempts
        assert re.search(said, job["detail"])


async def test_a_job_can_be_killed_while_its_inputs_are_fetched(spawner_at, shub_says):
    async def forever() -> AsyncIterator[bytes]:
        import asyncio

        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    shub_says(lambda _request: httpx.Response(200, content=forever()))
    async with spawner_at() as spawner:
        job = await spawner.spawn("true", files=[{"path": "a", "asset_id": "asset_1"}])
        await spawner.when(job["spawn_id"], lambda record: record["status"] == "RUNNING")
        killed = (await spawner.http.post(f"/spawner/spawn/{job['spawn_id']}/kill")).json()
        assert (killed["status"], killed["reason"]) == ("CANCELLED", "killed")
