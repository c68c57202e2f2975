"""`vx11 demo`: the fleet at work, from stems to a mix, a question answered, and a deletion that is asked twice about."""

import secrets
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

from vx11.api import Api, ApiError
from vx11.errors import CommandFailed
from vx11.stems import SECONDS, make_stems
from vx11.talk import fetch

TARGET_LUFS, TOLERANCE_LU, CEILING_DBTP = -14.0, 0.3, -1.0
WAIT_SECONDS = 60
STARTING_SECONDS = 30.0
MIXES = {"es": "mezcla estos 3 stems a -14 LUFS", "en": "mix these 3 stems to -14 LUFS"}
QUESTION = "what does a compressor do?"


class NotSo(CommandFailed):
    """Something that the demo promises did not come true."""


def show(api: Api) -> int:
    """Run every scene; exit status 0 only if all of them came true."""
    with tempfile.TemporaryDirectory(prefix="vx11-demo-") as folder:
        return Demo(api, Path(folder)).run()


class Demo:
    """One run, with a session of its own and a folder for the files it makes."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api = api
        self._session = f"demo-{secrets.token_hex(4)}"
        self._folder = folder
        self._stems = list[str]()
        self._mixes = list[str]()

    def run(self) -> int:
        self._wait()
        scenes = {
            "Three stems are uploaded": self._upload,
            "A mix is asked for in Spanish": lambda: self._mix("es"),
            "And in English": lambda: self._mix("en"),
            "The mix is downloaded": self._download,
            "The local model answers a question": self._ask,
            "Nothing is deleted without a confirmation": self._delete,
        }
        failed = 0
        for title, scene in scenes.items():
            print(f"\n{title}")
            try:
                scene()
            except CommandFailed as exc:
                failed += 1
                print(f"  FAILED: {exc}")
        print(f"\n{failed} of {len(scenes)} scenes failed" if failed else "\nEverything came true.")
        return 1 if failed else 0

    def _wait(self) -> None:
        """For a fleet that was started a moment ago, as by Compose; one that does not come is told of by the first scene."""
        until = time.monotonic() + STARTING_SECONDS
        while time.monotonic() < until:
            try:
                if self._api.get("/health")["status"] == "ok":
                    return
            except ApiError:
                return  # it is there, and says no
            except CommandFailed:
                pass  # not there yet
            time.sleep(0.5)

    def _upload(self) -> None:
        for name, content in make_stems().items():
            file = self._folder / name
            file.write_bytes(content)
            asset = self._api.upload(file)
            self._stems.append(asset["asset_id"])
            _true(abs(asset["duration_seconds"] - SECONDS) < 0.01, f"{name} is {SECONDS:g} s long: {asset}")
            _say(f"{name}: {asset['size_bytes']} bytes, {asset['duration_seconds']:g} s -> {asset['asset_id']}")

    def _mix(self, language: str) -> None:
        _true(len(self._stems) == 3, "there are three stems to mix")
        reply = self._chat(MIXES[language], files=self._stems)
        _true(reply["plan"]["intent"]["language"] == language, f"it was read as {language}")
        _say(reply["response"])
        for step in reply["plan"]["steps"]:
            _say(f"step {step['step_id']}: {step['operation']} {step['status']}")
        _true(len(reply["artifacts"]) > 0, "the plan made a file")
        mix = reply["artifacts"][0]["asset_id"]
        self._mixes.append(mix)
        measured = self._api.post("/shub/analyze", {"asset_id": mix})
        loudness, peak = measured["integrated_lufs"], measured["true_peak_dbtp"]
        _true(loudness is not None and peak is not None, "the mix is not silence")
        _say(f"measured: {loudness:.2f} LUFS, {peak:.2f} dBTP")
        _true(abs(loudness - TARGET_LUFS) <= TOLERANCE_LU, f"it has {TARGET_LUFS} LUFS")
        _true(peak <= CEILING_DBTP, f"its true peak stays at or under {CEILING_DBTP} dBTP")

    def _download(self) -> None:
        _true(len(self._mixes) > 0, "there is a mix to download")
        target = self._folder / "mix.wav"
        size_bytes = fetch(self._api, self._mixes[0], target)
        with wave.open(str(target)) as mix:
            seconds = mix.getnframes() / mix.getframerate()
        _true(seconds >= SECONDS - 0.01, f"the mix is as long as its stems: {seconds} s")
        _say(f"{size_bytes} bytes, {seconds:.2f} s")

    def _ask(self) -> None:
        reply = self._chat(QUESTION)
        _true(bool(reply["response"].strip()), "there is an answer")
        _say(f"{QUESTION} {' '.join(reply['response'].split())}")
        models = [step["result"]["model"] for step in reply["plan"]["steps"] if (step["result"] or {}).get("model")]
        _true(bool(models), "the model that answered is named")
        _say(f"answered by {models[0]}")

    def _delete(self) -> None:
        _true(len(self._mixes) > 0, "there is a mix to delete")
        mix = self._mixes[-1]
        body = {"target": "shub", "action": "delete", "params": {"asset_id": mix}}
        pending = self._api.post("/madre/control", body)
        _true(pending["status"] == "pending_confirmation", f"it waits for a confirmation: {pending}")
        plan, token = pending["plan_id"], pending["confirm_token"]
        _say(f"delete {mix}: {pending['status']} until {pending['expires_at']}, because {pending['reason']}")
        self._refused(plan, "A" * len(token))
        self._api.get(f"/shub/assets/{mix}")
        _say("a wrong token is refused, and the mix is still there")
        self._api.post(f"/madre/plans/{plan}/confirm", {"confirm_token": token})
        ended = self._api.ended_plan(plan)
        _true(ended["status"] == "DONE", f"the right token deletes it: {ended['response']}")
        try:
            self._api.get(f"/shub/assets/{mix}")
        except ApiError as exc:
            _true(exc.status == 404, f"it is gone: {exc}")
        else:
            raise NotSo("the mix is still there after its deletion")
        _say("the right token deletes it")
        self._refused(plan, token)
        _say("and opens nothing a second time")

    def _chat(self, message: str, **more: Any) -> dict[str, Any]:
        """Madre's answer to a message whose plan must succeed."""
        _say(f'"{message}"')
        body = {"message": message, "session_id": self._session, "origin": "cli", "wait_seconds": WAIT_SECONDS, **more}
        reply = self._api.post("/madre/chat", body)
        _true(reply["status"] == "DONE", f"the plan is {reply['status']}: {reply['response']}")
        return reply

    def _refused(self, plan: str, token: str) -> None:
        try:
            self._api.post(f"/madre/plans/{plan}/confirm", {"confirm_token": token})
        except ApiError as exc:
            _true(exc.status == 403, f"it is refused as forbidden: {exc}")
        else:
            raise NotSo("a token that must not open the plan opened it")


def _true(came_true: bool, claim: str) -> None:
    if not came_true:
        raise NotSo(f"not so: {claim}")


def _say(text: str) -> None:
    print(f"  {text}")
