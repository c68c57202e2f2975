"""The whole house on real input: stems to a measured mix, gates where the harm is done, kills and halts in the middle."""

import io
import os
import signal
import sqlite3
import threading
import time
import wave

import httpx
import numpy as np
import pyebur128
import pytest
import soundfile

from vx11.stems import make_stems

TARGET_LUFS, CEILING_DBTP = -14.0, -1.0


def upload(gateway: httpx.Client, name: str, content: bytes) -> str:
    reply = gateway.post("/shub/assets", params={"name": name}, content=content)
    assert reply.status_code in (200, 201), reply.text
    return reply.json()["asset_id"]


@pytest.fixture(scope="module")
def long_stems() -> dict[str, bytes]:
    """Three stems of two minutes: a mix of them takes long enough to be interrupted."""
    rate, noise = 44_100, np.random.default_rng(5)
    seconds = np.arange(rate * 120) / rate
    signals = {
        "vocal.wav": 0.3 * np.sin(2 * np.pi * 330 * seconds) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.3 * seconds)),
        "bass.wav": 0.5 * np.sin(2 * np.pi * 55 * seconds),
        "drums.wav": 0.2 * noise.standard_normal(seconds.size) * np.exp(-20 * (seconds % 0.5)),
    }
    made = {}
    for name, signal_ in signals.items():
        content = io.BytesIO()
        with wave.open(content, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(rate)
            out.writeframes((np.clip(signal_, -1, 1) * 32_767).astype("<i2").tobytes())
        made[name] = content.getvalue()
    return made


def independent_meter(content: bytes) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, as libebur128 reads them."""
    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    meter = pyebur128.R128State(
        samples.shape[1], rate, pyebur128.MeasurementMode.MODE_I | pyebur128.MeasurementMode.MODE_TRUE_PEAK
    )
    meter.add_frames(np.ascontiguousarray(samples).reshape(-1), samples.shape[0])
    peak = max(pyebur128.get_true_peak(meter, channel) for channel in range(samples.shape[1]))
    return pyebur128.get_loudness_global(meter), 20 * np.log10(peak)


@pytest.mark.parametrize("message", ["mezcla estos 3 stems a -14 LUFS", "mix these 3 stems to -14 LUFS"])
def test_stems_become_a_mix_that_an_independent_meter_confirms(gateway, message):
    files = [upload(gateway, name, content) for name, content in make_stems().items()]
    reply = gateway.post(
        "/madre/chat", json={"message": message, "session_id": "s1", "files": files, "wait_seconds": 60}
    )
    assert reply.status_code == 200, reply.text
    done = reply.json()
    assert done["status"] == "DONE", done
    mix = gateway.get(f"/shub/assets/{done['artifacts'][0]['asset_id']}/content")
    lufs, dbtp = independent_meter(mix.content)
    assert lufs == pytest.approx(TARGET_LUFS, abs=0.3)
    assert dbtp <= CEILING_DBTP


def test_a_whole_session_in_words_from_upload_to_a_master_and_a_step_back(gateway):
    files = [upload(gateway, name, content) for name, content in make_stems().items()]

    def say(message: str, *said: str) -> dict:
        body = {"message": message, "session_id": "song", "files": list(said), "mode": "AUDIO_ENGINEER"}
        reply = gateway.post("/madre/chat", json=body | {"wait_seconds": 60})
        assert reply.json()["status"] == "DONE", reply.text
        return reply.json()

    def heard(answer: dict) -> str:
        return answer["artifacts"][0]["asset_id"]

    assert "waveform.png" in say("analiza", *files)["response"]
    mixed = say("mezcla a -16 LUFS")
    brighter = say("más brillo en el bajo")
    assert heard(brighter) != heard(mixed)
    assert heard(mixed) in say("deshaz")["response"]
    mastered = say("masteriza para Spotify")
    exported = say("exporta en FLAC de 24 bits")
    asset = gateway.get(f"/shub/assets/{heard(exported)}").json()
    assert (asset["format"], asset["encoding"]) == ("flac", "PCM_24")
    assert asset["provenance"]["inputs"][0]["asset_id"] == heard(mastered)
    made_of = gateway.get(f"/shub/assets/{heard(mastered)}").json()["provenance"]["inputs"]
    assert [one["asset_id"] for one in made_of] == [heard(mixed)]
    lufs, dbtp = independent_meter(gateway.get(f"/shub/assets/{heard(exported)}/content").content)
    assert lufs == pytest.approx(-14.0, abs=0.1)
    assert dbtp <= CEILING_DBTP


def test_a_question_is_answered_by_the_local_model_and_the_model_is_named(gateway):
    done = gateway.post("/madre/chat", json={"message": "what does a compressor do?", "wait_seconds": 60}).json()
    assert done["status"] == "DONE", done
    answer = done["plan"]["steps"][0]["result"]
    assert len(done["response"].split()) > 5
    assert "smollm2" in answer["model"].lower()


def test_deleting_needs_a_grant_or_a_named_scope_on_the_modules_own_port_too(fleet, gateway):
    kept = upload(gateway, "kept.wav", make_stems()["beat.wav"])
    other = upload(gateway, "other.wav", make_stems()["bass.wav"])
    straight = f"http://127.0.0.1:{fleet.ports['shub']}/shub/assets/{kept}"
    owner = {"X-VX11-Token": fleet.token}
    assert httpx.delete(straight, headers=owner).status_code == 403
    assert gateway.delete(f"/shub/assets/{kept}").status_code == 403
    asked = gateway.post(
        "/madre/control", json={"target": "shub", "action": "delete", "params": {"asset_id": other}}
    ).json()
    assert asked["status"] == "pending_confirmation"
    for wrong in ("wrong", asked["confirm_token"] + "x"):
        assert (
            gateway.post(f"/madre/plans/{asked['plan_id']}/confirm", json={"confirm_token": wrong}).status_code == 403
        )
    right = {"confirm_token": asked["confirm_token"]}
    assert gateway.post(f"/madre/plans/{asked['plan_id']}/confirm", json=right).status_code == 200
    assert gateway.post(f"/madre/plans/{asked['plan_id']}/confirm", json=right).status_code == 403
    assert final(gateway, asked["plan_id"])["status"] == "DONE"
    assert gateway.get(f"/shub/assets/{other}").status_code == 404
    assert gateway.get(f"/shub/assets/{kept}").status_code == 200
    with sqlite3.connect(fleet.state_dir / "vx11.db") as database:
        refused = database.execute("SELECT count(*) FROM audit_log WHERE event = 'grant_refused'").fetchone()[0]
    assert refused >= 2
    named = fleet.vx11("token", "create", "--name", "cleaner", "--scope", "shub:delete").stdout
    token = max(named.split(), key=len)
    assert httpx.delete(straight, headers={"X-VX11-Token": token}).status_code in (200, 204)
    assert fleet.vx11("audit", "verify").returncode == 0


def test_madre_killed_in_the_middle_of_a_mix_finishes_it_once(fleet, gateway, long_stems):
    files = [upload(gateway, name, content) for name, content in long_stems.items()]
    jobs_before = len(mixes(gateway))
    asked = gateway.post(
        "/madre/chat",
        json={"message": "mix these 3 stems to -16 LUFS", "session_id": "killed", "files": files, "wait_seconds": 0},
    ).json()
    for moment in (mixing, mixing):  # twice: the second kill falls into the recovery of the first
        wait_until(lambda moment=moment: moment(gateway, asked["plan_id"]))
        before = fleet.status()["madre"]
        os.kill(before["pid"], signal.SIGKILL)
        wait_until(lambda before=before: fleet.status()["madre"]["restarts"] > before["restarts"])
        wait_until(lambda: fleet.status()["madre"]["state"] == "healthy")
    plan = final(gateway, asked["plan_id"])
    assert plan["status"] == "DONE", plan
    assert [step["status"] for step in plan["steps"]] == ["DONE", "DONE", "DONE"]
    assert plan["steps"][0]["attempts"] == 1  # had finished before the kill
    assert len(mixes(gateway)) == jobs_before + 1
    session = gateway.get("/madre/sessions/killed").json()
    assert [turn["plan_id"] for turn in session["turns"]] == [asked["plan_id"]]


def test_nothing_that_was_answered_is_lost_when_madre_is_killed_under_load(fleet, gateway):
    accepted: list[str] = []
    stop = threading.Event()

    def keep_asking(number: int) -> None:
        with httpx.Client(
            base_url=fleet.url, headers={"X-VX11-Token": fleet.token}, timeout=60, trust_env=False, verify=False
        ) as client:
            while not stop.is_set():
                try:
                    reply = client.post(
                        "/madre/chat", json={"message": "ayuda", "session_id": f"load{number}", "wait_seconds": 0}
                    )
                except httpx.TransportError:
                    continue
                if reply.is_success:
                    accepted.append(reply.json()["plan_id"])

    askers = [threading.Thread(target=keep_asking, args=(number,)) for number in range(4)]
    for asker in askers:
        asker.start()
    wait_until(lambda: len(accepted) >= 20)
    before = fleet.status()["madre"]
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: fleet.status()["madre"]["restarts"] > before["restarts"])
    seen = len(accepted)
    wait_until(lambda: len(accepted) >= seen + 10)
    stop.set()
    for asker in askers:
        asker.join()
    for plan_id in accepted:
        assert final(gateway, plan_id)["status"] == "DONE"


def test_halt_stops_a_running_plan_and_holds_over_a_restart_until_resume(fleet, gateway, long_stems):
    files = [upload(gateway, name, content) for name, content in long_stems.items()]
    asked = gateway.post(
        "/madre/chat", json={"message": "mix these 3 stems to -18 LUFS", "files": files, "wait_seconds": 0}
    ).json()
    wait_until(lambda: mixing(gateway, asked["plan_id"]))
    fleet.vx11("halt", "test")
    assert not [job for job in mixes(gateway) if job["status"] in ("RUNNING", "PENDING")]
    wait_until(lambda: gateway.get(f"/madre/plans/{asked['plan_id']}").json()["steps"][1]["status"] == "PENDING")
    fleet.vx11("restart", "madre")
    assert gateway.get("/madre/health").json()["checks"]["halt"]["status"] == "degraded"
    held = gateway.post("/madre/chat", json={"message": "ayuda", "wait_seconds": 0.5}).json()
    assert held["status"] == "PENDING"
    fleet.vx11("resume")
    assert final(gateway, asked["plan_id"])["status"] == "DONE"
    assert final(gateway, held["plan_id"])["status"] == "DONE"


def test_with_switch_stopped_audio_works_and_a_question_says_that_no_model_is_reachable(fleet, gateway):
    pid = fleet.status()["switch"]["pid"]
    os.kill(pid, signal.SIGSTOP)  # alive and deaf: worse than gone
    try:
        files = [upload(gateway, name, content) for name, content in make_stems().items()]
        mixed = gateway.post(
            "/madre/chat", json={"message": "mezcla estos stems a -15 LUFS", "files": files, "wait_seconds": 60}
        )
        assert mixed.json()["status"] == "DONE"
    finally:
        os.kill(pid, signal.SIGCONT)


def mixes(gateway: httpx.Client) -> list[dict]:
    return [job for job in gateway.get("/shub/jobs", params={"limit": 200}).json()["items"] if job["kind"] == "mix"]


def mixing(gateway: httpx.Client, plan_id: str) -> bool:
    reply = gateway.get(f"/madre/plans/{plan_id}")
    return reply.is_success and reply.json()["steps"][1]["status"] == "RUNNING"


def final(gateway: httpx.Client, plan_id: str) -> dict:
    def ended() -> bool:
        reply = gateway.get(f"/madre/plans/{plan_id}")
        return reply.is_success and reply.json()["status"] in ("DONE", "ERROR", "CANCELLED")

    wait_until(ended)
    return gateway.get(f"/madre/plans/{plan_id}").json()


def wait_until(came_true) -> None:
    """Look again until it is so: for what other processes do and nobody tells."""
    deadline = time.monotonic() + 60
    while not came_true():
        assert time.monotonic() < deadline, "did not come true in 60 s"
        time.sleep(0.03)
