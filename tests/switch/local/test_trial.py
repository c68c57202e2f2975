"""The first loading of a file, in a real sandbox of a real spawner; only llama.cpp is played by a script."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from config.clients.spawner import SpawnerClient
from config.contracts.common import StatusEnum
from config.contracts.spawner import Reason
from config.default_model import ModelUnusable
from config.secrets import load_secrets
from config.settings import MIB
from spawner.main import create_app
from spawner.settings import SpawnerSettings
from switch.local import trial
from switch.local.process import Order
from switch.local.registered import TrialUnfinished
from switch.local.trial import Trial
from tests.spawner.conftest import reachable_folder
from tests.switch.conftest import serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCRIPT = """
import json, os, sys
assert sys.argv[1] == "--try"
import pydantic_core  # one of the packages of the fleet
order = json.loads(sys.stdin.readline())
said = open(order["path"]).read()
try:
    open(order["path"], "a")
    sys.exit("it may write to the model")
except OSError:
    pass
if said == "endless":
    import time

    time.sleep(120)
if said == "hungry":
    held = b"x" * (2 << 30)
print(said if said != "unheld" else "no library here", flush=True)
os._exit({"fine": 0, "unheld": 75}.get(said, 3))
"""


@dataclass
class Held:
    trial: Trial
    others: Trial
    """The same, asked by somebody else."""
    models: Path
    spawner: SpawnerClient

    async def of(self, content: str) -> str:
        path = self.models / f"{content}.gguf"
        path.write_text(content)
        path.chmod(0o600)
        order = Order(str(path), content, slots=1, context_tokens=512, threads=1, sleep_after_seconds=-1, max_tokens=-1)
        return await self.trial(order, "ab" * 32, 16 * MIB)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def held(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Held]:
    state = tmp_path_factory.mktemp("trial") / "state"
    shutil.copytree(migrated, state)
    with reachable_folder() as folder, pytest.MonkeyPatch.context() as patch:
        models, script = (
            state / "models",
            folder / "child.py",
        )  # nobody but us gets into the state folder, nor reads the files
        models.mkdir(mode=0o700, exist_ok=True)
        script.write_text(SCRIPT)
        patch.setattr(trial, "SCRIPT", script)
        settings = SpawnerSettings(
            state_dir=state, spawner_work_dir=folder / "jobs", hermes_models_dir=models, _env_file=None
        )
        async with serving(create_app(settings)) as url:
            told = settings.model_copy(
                update={"service_urls": {"spawner": url}, "connect_timeout": timedelta(seconds=60)}
            )
            clients = [SpawnerClient(told, load_secrets(settings), caller) for caller in ("switch", "madre")]
            yield Held(*(Trial(client) for client in clients), models, clients[0])
            for client in clients:
                await client.close()


async def test_a_file_that_is_fine_is_said_to_be(held: Held):
    assert await held.of("fine") == "tried out by spawner: fine"


async def test_a_file_that_fails_is_unusable_and_says_how(held: Held):
    with pytest.raises(ModelUnusable, match="its trial ended with exit code 3: broken"):
        await held.of("broken")


async def test_a_trial_that_is_given_up_is_ended(held: Held):
    trying = asyncio.create_task(held.of("endless"))
    while not (jobs := (await held.spawner.spawns(status=[StatusEnum.RUNNING])).items):
        await asyncio.sleep(0.02)  # the interval of a poll
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert (await held.spawner.spawn_record(jobs[0].spawn_id)).reason is Reason.KILLED


async def test_a_file_that_takes_far_more_than_it_should_is_unusable(held: Held):
    with pytest.raises(ModelUnusable, match="more than 536 MiB"):
        await held.of("hungry")


async def test_a_trial_that_runs_out_of_time_says_nothing_of_the_file(held: Held, monkeypatch):
    monkeypatch.setattr(trial, "MOST_SECONDS", 1.0)
    with pytest.raises(TrialUnfinished, match="not done within 1 seconds"):
        await held.of("endless")


async def test_where_no_trial_can_be_held_the_file_is_taken_as_it_is_and_that_is_told(held: Held):
    assert await held.of("unheld") == "loaded without a trial: no library here"


async def test_the_profile_is_for_switch_alone(held: Held):
    assert "not for madre" in await replace(held, trial=held.others).of("fine")
