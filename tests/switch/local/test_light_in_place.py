"""The light model answers for others: people who would have to wait get its answer, others wait for the better one."""

import asyncio
from pathlib import Path

from tests.fakes.model_files import gguf
from tests.switch.local.conftest import OpensBox


async def test_the_light_model_answers_people_while_the_best_is_busy_and_batches_wait(box: OpensBox, tmp_path: Path):
    light = tmp_path / "light.gguf"
    light.write_bytes(gguf(name="light"))
    async with box(light_model_path=light, switch_preferred=["best"], switch_weight_availability=0) as up:
        await up.add("best", "other")
        held = asyncio.create_task(up.said("other", f"hold {tmp_path / 'go'}"))
        await up.until(lambda found: any(one["answering"] for one in found["models"]))
        batch = asyncio.create_task(up.ask("auto", vx11={"priority": "BATCH_PROCESSING"}))
        await up.until_waiting(1)  # for the better one, which has no room as long as another is busy
        assert (await up.ask("auto")).headers["x-vx11-model"] == "light"
        assert not batch.done()
        (tmp_path / "go").touch()
        assert (await batch).headers["x-vx11-model"] == "best"
        await held
