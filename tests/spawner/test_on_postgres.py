"""The same on Postgres: jobs, lists, samples and their removal."""

from pydantic import SecretStr

from tests.spawner.conftest import until


async def test_a_job_is_kept_and_told_on_postgres_too(spawner_at, postgres_url):
    async with spawner_at(database_url=SecretStr(postgres_url)) as spawner:
        script = "import time; print('a\\0b'); time.sleep(2.2); open('x', 'w').write('1')"
        job = await spawner.python(script, artifacts=["x"], ttl_seconds=3, headers={"Idempotency-Key": "k"})
        assert (job["status"], job["stdout"], len(job["artifacts"])) == ("DONE", "a\ufffdb\n", 1), job
        listed = (await spawner.http.get("/spawner/spawn/list?status=DONE&status=ERROR")).json()["items"]
        assert [one["spawn_id"] for one in listed] == [job["spawn_id"]]
        path = f"/spawner/spawn/{job['spawn_id']}"

        async def measured():
            return (await spawner.http.get(f"{path}/samples")).json()["items"] or None

        assert await until(measured)

        async def removed():
            answer = await spawner.http.get(f"{path}/logs")
            return True if answer.status_code == 404 else None

        await until(removed)
        assert (await spawner.http.get(f"{path}/samples")).json()["items"] == []
        waiting = await spawner.spawn("sleep", "60")
        killed = await spawner.http.post(f"/spawner/spawn/{waiting['spawn_id']}/kill")
        assert killed.json()["status"] == "CANCELLED"
