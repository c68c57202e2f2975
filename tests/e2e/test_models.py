"""Models through the whole house: found on a hub, asked about, fetched, verified, told, removed when it is confirmed."""

import hashlib
from pathlib import Path

import pytest

from tests.e2e.test_real_work import final
from tests.fakes.model_files import gguf

CODER = "Makers/Tiny-Coder-0.1B-GGUF"
CONTENT = gguf(name="Tiny Coder", parameters=512 * 512)


@pytest.fixture
def coder(hub):
    """Two versions on the hub; none of it is on this machine before and after."""
    files = {
        "tiny-coder-q4_k_m.gguf": CONTENT,
        "tiny-coder-q8_0.gguf": gguf(name="Tiny Coder", quantization="Q8_0", parameters=512 * 512),
        "LICENSE": b"Apache License 2.0\n",
    }
    return hub.add(CODER, files, tags=["gguf"], license="apache-2.0")


def test_a_small_coding_model_is_found_asked_about_fetched_verified_and_removed(fleet, gateway, coder):
    def say(message: str) -> dict:
        said = {"message": message, "session_id": "models", "wait_seconds": 30}
        return gateway.post("/madre/chat", json=said).json()

    asked = say("busca un modelo pequeño de código y descárgalo")
    assert (asked["status"], asked["risk"]) == ("WAITING", "MED")
    assert f"¿Descargo {CODER} (Q4_K_M, {len(CONTENT) / 1000:.0f} kB, apache-2.0)?" in asked["question"]
    say("sí")
    done = final(gateway, asked["plan_id"])
    assert done["status"] == "DONE", done["response"]
    [model] = [one for one in gateway.get("/hermes/models").json()["items"] if one["model_id"] == CODER]
    assert (
        model["sha256"]
        == hashlib.sha256(CONTENT).hexdigest()
        == hashlib.sha256(Path(model["path"]).read_bytes()).hexdigest()
    )
    assert (model["license"], model["revision"], model["specialty"]) == ("apache-2.0", coder.sha, "code")
    assert model["name"] in done["response"]
    assert model["name"] in say("qué modelos tengo")["response"]
    shown = fleet.vx11("models", "verify", model["name"])
    assert "is whole" in shown.stdout

    doomed = say(f"borra el modelo {model['name']}")
    assert (doomed["risk"], model["name"] in doomed["reason"]) == ("HIGH", True)
    assert gateway.delete(f"/hermes/models/{model['id']}").status_code == 403  # the owner's token alone does not
    assert Path(model["path"]).is_file()
    token = {"confirm_token": doomed["confirmation"]["confirm_token"]}
    gateway.post(f"/madre/plans/{doomed['plan_id']}/confirm", json=token)
    assert final(gateway, doomed["plan_id"])["status"] == "DONE"
    assert not Path(model["path"]).exists()
    assert model["name"] not in say("qué modelos tengo")["response"]


def test_the_command_line_fetches_lists_and_removes(fleet, coder):
    shown = fleet.vx11("models", "search", "coder", "--source", "huggingface").stdout
    assert CODER in shown
    unsaid = fleet.vx11("models", "download", CODER, check=False)
    assert unsaid.returncode == 1
    assert "Q4_K_M" in unsaid.stderr
    fetched = fleet.vx11("models", "download", CODER, "-q", "Q8_0")
    assert "100 %" in fetched.stderr
    [row] = [line for line in fleet.vx11("models", "list").stdout.splitlines() if "tiny-coder" in line]
    assert "apache-2.0" in row
    removed = fleet.vx11("models", "remove", row.split()[0], "--yes").stdout
    assert "Deleted: " in removed
    assert "tiny-coder" not in fleet.vx11("models").stdout
    assert " known tools are here" in fleet.vx11("clis").stdout
