"""The process of the embedding model, under the event loop with which switch is served."""

import signal
from pathlib import Path

from switch.embedding.embedder import SCRIPT
from tests.switch.real_switch import is_alive, real_switch, until


def embedders_of(pid: int) -> list[int]:
    """The children of this process that hold the embedding model."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if str(SCRIPT) in Path(f"/proc/{child}/cmdline").read_text()]


def test_a_switch_that_is_killed_leaves_no_embedder_behind(forks, state_dir, owner_headers, tmp_path):
    model = str(tmp_path / "no-such-model.gguf")
    with real_switch(forks, state_dir, owner_headers, VX11_LIGHT_MODEL_PATH=model) as switch:
        made = switch.client.post("/v1/embeddings", json={"input": ["one", "two"]})
        assert len(made.json()["data"]) == 2, made.text
        (embedder,) = embedders_of(switch.process.pid)
        switch.stop(signal.SIGKILL)

        def is_gone() -> bool:
            return not is_alive(embedder)

        until(is_gone)
