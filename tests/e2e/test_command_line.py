"""The commands that talk, against a fleet that runs."""

import io
import wave

import pytest

from config.settings import SERVICES
from vx11.stems import SECONDS, make_stems


def test_the_demo_comes_true(fleet):
    shown = fleet.vx11("demo").stdout
    assert "Everything came true." in shown
    assert "FAILED" not in shown


def test_a_mix_from_files_to_a_downloaded_file(fleet, tmp_path):
    files = []
    for name, content in make_stems().items():
        (tmp_path / name).write_bytes(content)
        files += ["--file", str(tmp_path / name)]
    shown = fleet.vx11("chat", "mix these 3 stems to -16 LUFS", *files).stdout
    asset = shown.split("vx11 download ")[1].split()[0]
    fleet.vx11("download", asset, "--output", str(tmp_path / "mix.wav"))
    with wave.open(io.BytesIO((tmp_path / "mix.wav").read_bytes())) as mix:
        assert mix.getnframes() / mix.getframerate() == pytest.approx(SECONDS, abs=0.1)
    plan = shown.split("plan ")[-1].split()[0]
    assert plan in fleet.vx11("plans").stdout
    assert "DONE" in fleet.vx11("plans", plan).stdout


def test_a_dangerous_request_shows_the_command_that_confirms_it_and_that_command_works(fleet, gateway, tmp_path):
    (tmp_path / "gone.wav").write_bytes(make_stems()["pad.wav"])
    asset = fleet.vx11("upload", str(tmp_path / "gone.wav")).stdout.split()[0]
    asked = fleet.vx11("chat", f"delete the file {asset}", "--asset", asset).stdout
    command = next(line for line in asked.splitlines() if line.startswith("vx11 confirm "))
    _, _, plan, token = command.split()
    refused = fleet.vx11("confirm", plan, "not-" + token, check=False)
    assert refused.returncode == 1
    assert "confirmation_refused" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert gateway.get(f"/shub/assets/{asset}").status_code == 200
    fleet.vx11("confirm", plan, token)
    assert gateway.get(f"/shub/assets/{asset}").status_code == 404


def test_a_plan_that_waits_can_be_cancelled(fleet, tmp_path):
    (tmp_path / "kept.wav").write_bytes(make_stems()["beat.wav"])
    asset = fleet.vx11("upload", str(tmp_path / "kept.wav")).stdout.split()[0]
    asked = fleet.vx11("chat", f"borra el archivo {asset}", "--asset", asset).stdout
    _, _, plan, token = next(line for line in asked.splitlines() if line.startswith("vx11 confirm ")).split()
    assert "CANCELLED" in fleet.vx11("cancel", plan).stdout
    late = fleet.vx11("confirm", plan, token, check=False)
    assert late.returncode == 1


def test_a_dry_run_shows_the_plan_and_makes_none(fleet, gateway):
    before = gateway.get("/madre/plans").json()["items"]
    shown = fleet.vx11("chat", "¿cómo está la flota?", "--dry-run").stdout
    assert shown.strip()
    assert gateway.get("/madre/plans").json()["items"] == before


def test_client_tokens_are_made_listed_and_revoked(fleet):
    made = fleet.vx11("token", "create", "--name", "studio laptop", "--scope", "madre:read", "--expires", "5m").stdout
    token, token_id = made.splitlines()[0], made.splitlines()[1].split()[1].rstrip(",")
    assert "good" in line_of(fleet.vx11("token", "list").stdout, token_id)
    assert fleet.vx11("plans", "--token", token).returncode == 0
    refused = fleet.vx11("halt", "--token", token, check=False)
    assert refused.returncode == 1
    assert "scope" in refused.stderr
    assert "revoked" in fleet.vx11("token", "revoke", token_id).stdout
    assert "revoked" in line_of(fleet.vx11("token", "list").stdout, token_id)
    assert fleet.vx11("plans", "--token", token, check=False).returncode == 1


def test_an_edited_audit_line_is_found(fleet):
    fleet.vx11("audit", "verify")
    [trail, *_] = sorted((fleet.state_dir / "forensic").glob("*/logs/*.jsonl"))
    content = trail.read_bytes()
    try:
        trail.write_bytes(content.replace(b'"caller"', b'"Caller"', 1))
        found = fleet.vx11("audit", "verify", check=False)
        assert found.returncode == 1
        assert trail.parent.parent.name in found.stderr
    finally:
        trail.write_bytes(content)
    fleet.vx11("audit", "verify")


def test_the_gateway_tells_the_state_of_a_fleet_that_runs_elsewhere(fleet):
    shown = fleet.vx11("status", "--url", fleet.url).stdout
    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        [service, "ok"] for service in ("gateway", *sorted(set(SERVICES) - {"gateway"}))
    ]


def line_of(text: str, start: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(start))
