"""Shub's typed client against the real service: answers become contracts, problems become their classes."""

import httpx
import pytest

from config import grants
from config.clients.shub import AssetInUse, AssetNotFound, NotFiniteAudio, ShubClient
from config.contracts.common import StatusEnum
from config.contracts.shub import MixRequest, MixResult
from config.errors import GrantRefused, IdempotencyConflict, InvalidRequest, JobNotFound
from tests.fakes.line import over
from tests.shub.files import BAD_INSIDE, RATE, good, tone
from tests.shub.signals import write

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def client(shub) -> ShubClient:
    transport = httpx.ASGITransport(shub.app, raise_app_exceptions=False)
    return ShubClient(shub.settings, shub.secrets, "madre", line=over(transport))


async def test_a_whole_session(shub, client, tmp_path):
    asset_id = (await shub.upload(good("wav24", tmp_path / "x.wav")))["asset_id"]
    assert (await client.asset(asset_id)).asset_id == asset_id
    assert (await client.assets()).items[0].asset_id == asset_id
    assert (await client.analyze(asset_id, series=True)).integrated_lufs == pytest.approx(-10.5, abs=1.0)
    order = MixRequest(stems=[{"asset_id": asset_id}])
    job = await client.mix(order, idempotency_key="k1")
    assert (await client.mix(order, idempotency_key="k1")).job_id == job.job_id
    await shub.finished(job.job_id)
    result = MixResult.model_validate((await client.job(job.job_id)).result)
    assert result.integrated_lufs == pytest.approx(-14.0, abs=0.1)
    assert await client.unfinished_jobs() == []
    with pytest.raises(IdempotencyConflict):
        await client.mix(MixRequest(stems=[{"asset_id": asset_id}], target_lufs=-20), idempotency_key="k1")
    with pytest.raises(GrantRefused):
        await client.delete_asset(asset_id)
    grant = grants.issue(shub.secrets, plan_id="p", step_id="s", operation="shub:delete", params={"asset_id": asset_id})
    deleted = await client.delete_asset(asset_id, grant=grant, idempotency_key="p:s")
    assert await client.delete_asset(asset_id, grant=grant, idempotency_key="p:s") == deleted
    with pytest.raises(AssetNotFound):
        await client.asset(asset_id)


async def test_running_jobs_are_found_and_cancelled(shub, client, tmp_path):
    asset_id = (await shub.upload(write(tmp_path / "x.wav", tone(1, 60.0), RATE, "PCM_16")))["asset_id"]
    jobs = [await client.mix(MixRequest(stems=[{"asset_id": asset_id}] * n, sample_rate_hz=192_000)) for n in (1, 2, 3)]
    assert {job.job_id for job in await client.unfinished_jobs()} == {job.job_id for job in jobs}
    grant = grants.issue(shub.secrets, plan_id="p", step_id="t", operation="shub:delete", params={"asset_id": asset_id})
    with pytest.raises(AssetInUse):
        await client.delete_asset(asset_id, grant=grant)
    for job in jobs:
        assert (await client.cancel_job(job.job_id)).status is StatusEnum.CANCELLED
    assert await client.unfinished_jobs() == []


async def test_problems_come_back_as_their_classes(shub, client, tmp_path):
    bad = await shub.upload(BAD_INSIDE["a NaN"][1](tmp_path / "x"))
    with pytest.raises(NotFiniteAudio, match="frame 30000"):
        await client.analyze(bad["asset_id"])
    with pytest.raises(AssetNotFound):
        await client.mix(MixRequest(stems=[{"asset_id": "nope"}]))
    with pytest.raises(JobNotFound):
        await client.job("nope")
    with pytest.raises(InvalidRequest):
        await client.mix(MixRequest(stems=[{"asset_id": "x"}], format="flac", bit_depth=32))
