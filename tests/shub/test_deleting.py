"""Deleting a file: only with a grant for exactly that file, or a token made for it; every decision in the audit trail."""

import asyncio
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select

from config import grants
from config.db_schema import AuditRow
from tests.shub.conftest import Shub, problem
from tests.shub.files import RATE, tone
from tests.shub.signals import write

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def a_file(tmp_path):
    """Makes files that no other test has."""

    def make():
        return write(tmp_path / "x.wav", np.random.default_rng().uniform(-0.5, 0.5, 4_000), RATE, "PCM_24")

    return make


def grant_for(shub: Shub, params: dict[str, Any], operation: str = "shub:delete") -> dict[str, str]:
    text = grants.issue(shub.secrets, plan_id="plan_1", step_id="s1", operation=operation, params=params)
    return {"X-VX11-Grant": text}


async def trail(shub: Shub, asset_id: str) -> list[AuditRow]:
    async with shub.app.state.ground.db.read() as session:
        rows = await session.execute(
            select(AuditRow).where(AuditRow.subject == f"asset:{asset_id}").order_by(AuditRow.seq)
        )
        return list(rows.scalars())


async def test_with_a_grant_the_file_and_its_bytes_are_gone_and_it_is_on_record(shub, a_file):
    asset = await shub.upload(a_file())
    url = f"/shub/assets/{asset['asset_id']}"
    answer = await shub.http.delete(url, headers=grant_for(shub, {"asset_id": asset["asset_id"]}))
    assert answer.json() == {"asset_id": asset["asset_id"], "sha256": asset["sha256"], "deleted": True}
    problem(await shub.http.get(url), 404, "asset_not_found")
    problem(await shub.http.get(f"{url}/content"), 404, "asset_not_found")
    assert asset["sha256"] not in [path.name for path in shub.files()]
    (row,) = await trail(shub, asset["asset_id"])
    assert (row.event, row.caller) == ("asset_deleted", "owner")
    assert asset["sha256"] in row.details
    assert "plan_1" in row.details


async def test_without_a_grant_even_the_owner_is_refused_and_that_is_on_record(shub, a_file):
    asset = await shub.upload(a_file())
    url = f"/shub/assets/{asset['asset_id']}"
    problem(await shub.http.delete(url), 403, "grant_refused")
    problem(await shub.http.delete(url.removeprefix("/shub")), 403, "grant_refused")
    assert (await shub.http.get(url)).status_code == 200
    assert [row.event for row in await trail(shub, asset["asset_id"])] == ["grant_refused"] * 2


@pytest.mark.parametrize(
    "headers",
    [
        lambda shub, asset: grant_for(shub, {"asset_id": "asset_another"}),
        lambda shub, asset: grant_for(shub, {"asset_id": asset, "more": 1}),
        lambda shub, asset: grant_for(shub, {"asset_id": asset}, "hermes:delete"),
        lambda shub, asset: {"X-VX11-Grant": grant_for(shub, {"asset_id": asset})["X-VX11-Grant"][:-4] + "0000"},
        lambda shub, asset: {"X-VX11-Grant": "nonsense"},
        lambda shub, asset: {"X-VX11-Grant": "."},
    ],
    ids=["other file", "other parameters", "other operation", "forged", "nonsense", "empty"],
)
async def test_a_grant_that_is_not_for_exactly_this_is_refused(shub, a_file, headers):
    asset = await shub.upload(a_file())
    url = f"/shub/assets/{asset['asset_id']}"
    problem(await shub.http.delete(url, headers=headers(shub, asset["asset_id"])), 403, "grant_refused")
    assert (await shub.http.get(f"{url}/content")).status_code == 200


async def test_a_grant_opens_once_even_for_two_at_the_same_time(shub, a_file):
    path = a_file()
    asset = await shub.upload(path)
    headers = grant_for(shub, {"asset_id": asset["asset_id"]})
    url = f"/shub/assets/{asset['asset_id']}"
    answers = await asyncio.gather(*(shub.http.delete(url, headers=headers) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 404, 404, 404, 404]
    assert [row.event for row in await trail(shub, asset["asset_id"])] == ["asset_deleted"]


async def test_a_step_that_is_tried_again_with_its_key_gets_the_same_answer(shub, a_file):
    asset = await shub.upload(a_file())
    headers = grant_for(shub, {"asset_id": asset["asset_id"]}) | {"Idempotency-Key": "plan_1:s1"}
    url = f"/shub/assets/{asset['asset_id']}"
    first = await shub.http.delete(url, headers=headers)
    assert first.status_code == 200
    assert (await shub.http.delete(url, headers=headers)).json() == first.json()
    assert [row.event for row in await trail(shub, asset["asset_id"])] == ["asset_deleted"]


@pytest.mark.parametrize(("scopes", "status"), [("shub:delete", 200), ("shub:*", 403), ("*", 403), ("madre:*", 403)])
async def test_only_a_scope_that_names_the_operation_deletes(shub, a_file, scopes, status):
    asset = await shub.upload(a_file())
    caller = {
        "X-VX11-Token": shub.secrets.fleet.get_secret_value(),
        "X-VX11-Caller": "token:7",
        "X-VX11-Scopes": scopes,
    }
    answer = await shub.http.delete(f"/shub/assets/{asset['asset_id']}", headers=caller)
    assert answer.status_code == status
    (row,) = await trail(shub, asset["asset_id"])
    assert (row.event, row.caller) == ("asset_deleted" if status == 200 else "grant_refused", "token:7")


async def test_what_was_deleted_can_be_uploaded_again_as_something_new(shub, a_file):
    path = a_file()
    asset = await shub.upload(path)
    await shub.http.delete(
        f"/shub/assets/{asset['asset_id']}", headers=grant_for(shub, {"asset_id": asset["asset_id"]})
    )
    again = await shub.upload(path)
    assert again["asset_id"] != asset["asset_id"]
    assert (await shub.http.get(f"/shub/assets/{again['asset_id']}/content")).content == path.read_bytes()


async def test_uploading_and_deleting_the_same_content_at_once_never_leaves_a_row_without_bytes(shub, a_file):
    content = a_file().read_bytes()

    async def put() -> str:
        answer = await shub.http.post("/shub/assets", params={"name": "x.wav"}, content=content)
        return answer.json().get("asset_id", "")

    async def remove(asset_id: str) -> None:
        await shub.http.delete(f"/shub/assets/{asset_id}", headers=grant_for(shub, {"asset_id": asset_id}))

    for _ in range(8):
        asset_id = await put()
        _, *put_ids = await asyncio.gather(remove(asset_id), put(), put())
        for one in {one for one in put_ids if one}:
            known = await shub.http.get(f"/shub/assets/{one}")
            got = await shub.http.get(f"/shub/assets/{one}/content")
            assert got.status_code == known.status_code
            assert known.status_code == 404 or got.content == content


async def test_a_file_that_a_job_reads_is_not_deleted(shub, tmp_path):
    long = write(tmp_path / "x.wav", tone(1, 60.0), RATE, "PCM_16")
    asset = await shub.upload(long)
    job = (
        await shub.http.post("/shub/mix", json={"stems": [{"asset_id": asset["asset_id"]}], "sample_rate_hz": 192_000})
    ).json()
    url = f"/shub/assets/{asset['asset_id']}"
    headers = grant_for(shub, {"asset_id": asset["asset_id"]})
    assert job["job_id"] in problem(await shub.http.delete(url, headers=headers), 409, "asset_in_use")["detail"]
    await shub.http.post(f"/shub/jobs/{job['job_id']}/cancel")
    assert (await shub.http.delete(url, headers=headers)).status_code == 200  # and the grant was not used up
