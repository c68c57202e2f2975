"""The command line on its own: what it refuses, and how it tells errors. What it does is proved in tests/e2e."""

import json
import subprocess
import sys
import tempfile

import httpx
import pytest

from vx11 import cli, demo, jobs, talk, tokens
from vx11.api import Api, ApiError, owner_token
from vx11.errors import CommandFailed

PROBLEM = {"type": "/errors/forbidden", "title": "No", "status": 403, "detail": "this token may not", "service": "x"}


def api_that(answer) -> Api:
    return Api("http://gateway.invalid", "a-token", transport=httpx.MockTransport(answer))


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A folder without a fleet, as the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VX11_STATE_DIR", str(tmp_path / "data"))
    return tmp_path


def test_help_imports_none_of_the_heavy_parts():
    check = (
        "import sys; from vx11 import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'httpx', 'pydantic', 'fastapi', 'sqlalchemy', 'numpy'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["status"], "no fleet is running"),
        (["restart", "madre"], "no fleet is running"),
        (["logs", "madre"], "there is no log of madre"),
        (["chat", "hello"], "there is no token"),
        (["chat", "hello", "--token", "t" * 20, "--url", "http://127.0.0.1:1"], "is the fleet running?"),
        (["audit", "verify"], "there is no database"),
    ],
)
def test_without_a_fleet_a_command_says_so_in_one_line(nowhere, capsys, command, told):
    assert cli.main(command) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert told in line


def test_going_down_where_nothing_runs_is_no_failure(nowhere, capsys):
    assert cli.main(["down"]) == 0
    assert "no fleet is running" in capsys.readouterr().out


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(nowhere, monkeypatch, capsys):
    monkeypatch.setenv("VX11_MADRE_PORT", "sk-secret-999999")
    assert cli.main(["up", "--detach"]) == 1
    told = capsys.readouterr().err
    assert "VX11_MADRE_PORT" in told
    assert "sk-secret" not in told


@pytest.mark.parametrize("command", [["up", "--detach"], ["migrate"]])
@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("VX11_STATE_DIR", "damaged"),
        ("VX11_DATABASE_URL", "postgresql://nobody:nothing@127.0.0.1:1/none?connect_timeout=2"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_one_line(nowhere, monkeypatch, capsys, command, variable, value):
    (nowhere / "damaged").mkdir()
    (nowhere / "damaged" / "vx11.db").write_bytes(b"this is not a database" * 100)
    monkeypatch.setenv(variable, value)
    assert cli.main(command) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "the database cannot be used" in line
    assert "nothing" not in line


def test_no_new_token_is_made_by_asking(nowhere):
    from config.settings import FleetSettings

    with pytest.raises(CommandFailed, match="start the fleet first"):
        owner_token(FleetSettings(_env_file=None))
    assert not (nowhere / "data").exists()


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)])
def test_lengths_of_time_are_read(text, seconds):
    asked = cli._parser().parse_args(["token", "create", "--name", "n", "--scope", "*", "--expires", text])
    assert asked.expires == seconds


@pytest.mark.parametrize("text", ["0d", "30", "d", "-1d", "1y", ""])
def test_other_lengths_of_time_are_refused(text, capsys):
    with pytest.raises(SystemExit) as refused:
        cli._parser().parse_args(["token", "create", "--name", "n", "--scope", "*", "--expires", text])
    assert refused.value.code == 2


def test_an_error_of_the_api_is_told_by_its_detail():
    api = api_that(lambda _request: httpx.Response(403, json=PROBLEM))
    with pytest.raises(ApiError, match=r"this token may not \(403 forbidden\)") as told:
        api.get("/madre/plans")
    assert (told.value.status, told.value.code) == (403, "forbidden")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'"text"'])
def test_an_error_in_another_shape_is_told_by_its_status(body):
    api = api_that(lambda _request: httpx.Response(502, content=body))
    with pytest.raises(ApiError, match="answered 502"):
        api.get("/madre/plans")


def test_an_answer_that_is_not_json_is_a_failure_and_no_traceback():
    api = api_that(lambda _request: httpx.Response(200, content=b"<html>"))
    with pytest.raises(CommandFailed, match="not JSON"):
        api.get("/madre/plans")


@pytest.mark.parametrize("fault", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.ReadError("x")])
def test_a_broken_connection_is_told_in_words(fault):
    def broken(_request: httpx.Request) -> httpx.Response:
        raise fault

    with pytest.raises(CommandFailed, match=r"gateway\.invalid"):
        api_that(broken).get("/madre/plans")


def test_a_file_that_is_not_there_is_named(tmp_path):
    api = api_that(lambda _request: httpx.Response(500))
    with pytest.raises(CommandFailed, match=r"none\.wav: No such file"):
        talk.upload(api, [str(tmp_path / "none.wav")])


def test_a_download_that_breaks_leaves_no_half_file(tmp_path):
    class Breaks(httpx.SyncByteStream):
        def __iter__(self):
            yield b"half"
            raise httpx.ReadError("gone")

    api = api_that(lambda _request: httpx.Response(200, stream=Breaks()))
    with pytest.raises(CommandFailed):
        talk.fetch(api, "asset_1", tmp_path / "mix.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_dangerous_plan_shows_the_command_that_confirms_it(capsys):
    reply = {
        "status": "WAITING",
        "plan_id": "plan_1",
        "session_id": "s",
        "question": None,
        "response": "This is dangerous",
        "confirmation": {"confirm_token": "tok", "expires_at": "2030-01-01T00:00:00Z"},
    }
    api = api_that(lambda _request: httpx.Response(202, json=reply))
    assert talk.chat(api, "x", files=[], assets=[], session_id=None, wait=False, yes=False, dry_run=False) == 0
    assert "vx11 confirm plan_1 tok" in capsys.readouterr().out


def test_an_unclear_message_shows_how_to_answer(capsys):
    reply = {
        "status": "WAITING",
        "plan_id": None,
        "session_id": "s9",
        "question": "this or that?",
        "response": "",
        "confirmation": None,
    }
    api = api_that(lambda _request: httpx.Response(202, json=reply))
    assert talk.chat(api, "x", files=[], assets=[], session_id=None, wait=False, yes=True, dry_run=False) == 0
    out = capsys.readouterr().out
    assert "this or that?" in out
    assert "--session s9" in out


def test_a_dry_run_shows_each_step_of_the_plan_and_its_risk(capsys):
    steps = [
        {"step_id": "1", "operation": "spawner:run", "params": {"command": "python3", "args": ["-c", "print('ñ')"]}},
        {"step_id": "2", "operation": "shub:mix", "params": {"stems": ["x" * 200]}},
    ]
    plan = {"response": "This is what I would do", "warnings": ["taken as written"], "steps": steps}
    plan |= {"status": "WAITING", "risk": "HIGH", "reason": "it runs a process"}
    reply = {"status": "WAITING", "plan_id": None, "session_id": "s", "question": None, "confirmation": None}
    api = api_that(lambda _request: httpx.Response(200, json={**reply, "response": "", "plan": plan}))
    assert talk.chat(api, "x", files=[], assets=[], session_id=None, wait=True, yes=True, dry_run=True) == 0
    response, warning, _, first, second, risk = capsys.readouterr().out.splitlines()
    assert (response, warning) == ("This is what I would do", "note: taken as written")
    assert first.split(maxsplit=2) == ["1", "spawner:run", """command="python3", args=["-c", "print('ñ')"]"""]
    assert second.startswith("2     shub:mix")
    assert second.endswith("…")
    assert risk == "risk HIGH: it runs a process"


@pytest.mark.parametrize(("reason", "told"), [("", "by owner: nothing"), ("smoke", "by owner (smoke): nothing")])
def test_a_halt_is_told_with_its_reason_where_it_has_one(capsys, reason, told):
    state = {"halted": True, "since": "2030-01-01T00:00:00Z", "by": "owner", "reason": reason}
    assert talk.halt(api_that(lambda _request: httpx.Response(200, json=state)), reason) == 0
    assert told in capsys.readouterr().out


def test_all_pages_of_tokens_are_listed(capsys):
    def answer(request: httpx.Request) -> httpx.Response:
        last = "cursor" in request.url.params
        token = {"id": f"t{last}", "name": "n", "scopes": ["*"], "expires_at": None, "revoked_at": None}
        return httpx.Response(200, json={"items": [token], "next_cursor": None if last else "t"})

    assert tokens.show(api_that(answer)) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_the_demo_fails_plainly_when_its_promises_do_not_come_true(capsys):
    """A fleet that answers everything in some way is not a fleet at work."""
    assert demo.show(api_that(lambda _request: httpx.Response(403, json=PROBLEM))) == 1
    out = capsys.readouterr().out
    assert out.count("FAILED") == 6
    assert "6 of 6 scenes failed" in out


def test_the_demo_leaves_no_files_behind(tmp_path, monkeypatch):
    made = []

    def answer(request: httpx.Request) -> httpx.Response:
        made.extend(tmp_path.glob("vx11-demo-*/*.wav"))
        return httpx.Response(403, json=PROBLEM)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    demo.show(api_that(answer))
    assert made
    assert list(tmp_path.iterdir()) == []


def spawner_that_ran(record: dict, events: list[tuple[str, dict]]) -> tuple[Api, list[dict]]:
    """A gateway behind which one job runs as told; and the bodies it was asked with."""
    asked = list[dict]()
    stream = "".join(
        f"id: {n}\nevent: {name}\ndata: {json.dumps(data)}\n\n" for n, (name, data) in enumerate(events, 1)
    )
    whole = {
        "spawn_id": "spawn_1",
        "status": "DONE",
        "reason": "exited",
        "exit_code": 0,
        "signal": None,
        "detail": None,
    }
    whole |= {"truncated": False, "stdout_bytes": 0, "stderr_bytes": 0, **record}

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            asked.append(json.loads(request.content))
        if request.url.path.endswith("/events"):
            return httpx.Response(200, content=stream.encode(), headers={"content-type": "text/event-stream"})
        return httpx.Response(200, json=whole)

    return api_that(answer), asked


PLAIN = {"files": [], "stdin": False, "timeout_seconds": None, "memory_mb": None, "network": False}


def test_a_spawned_command_writes_where_we_write_and_ends_as_it_ended(capsys):
    said = [("stdout", {"text": "one\u2028two\x85\n"}), ("stderr", {"text": "oops\n"}), ("status", {"status": "ERROR"})]
    api, asked = spawner_that_ran({"status": "ERROR", "exit_code": 7}, said)
    assert jobs.spawn(api, "python3", ["-c", "x"], **PLAIN) == 7
    told = capsys.readouterr()
    assert (told.out, told.err) == ("one\u2028two\x85\n", "oops\n")
    assert asked == [{"name": "python3", "command": "python3", "args": ["-c", "x"], "files": []}]


@pytest.mark.parametrize(
    ("record", "status"),
    [
        ({"reason": "timeout", "signal": 9, "exit_code": None, "detail": "5 seconds"}, 124),
        ({"reason": "exited", "signal": 11, "exit_code": None}, 139),
        ({"reason": "oom", "signal": 9, "exit_code": None}, 137),
        ({"reason": "refused", "exit_code": None, "detail": "no sandbox works here"}, 1),
    ],
)
def test_a_job_that_did_not_end_by_itself_has_an_exit_status_of_its_own(capsys, record, status):
    api, _ = spawner_that_ran({"status": "ERROR", **record}, [])
    assert jobs.spawn(api, "sleep", ["9"], **PLAIN) == status
    if record["reason"] != "exited":
        assert record["reason"] in capsys.readouterr().err


def test_files_go_along_by_their_names(tmp_path):
    (tmp_path / "check.py").write_bytes(b"print(1)")
    api, asked = spawner_that_ran({}, [])
    jobs.spawn(api, "python3", ["check.py"], **{**PLAIN, "files": [str(tmp_path / "check.py")], "timeout_seconds": 5.0})
    assert asked[0]["files"] == [{"path": "check.py", "content_base64": "cHJpbnQoMSk=", "executable": False}]
    assert asked[0]["timeout_seconds"] == 5.0
    with pytest.raises(CommandFailed, match=r"none\.py: No such file"):
        jobs.spawn(api, "python3", [], **{**PLAIN, "files": [str(tmp_path / "none.py")]})


@pytest.mark.parametrize(
    ("line", "command", "args"),
    [
        (["--timeout", "5", "--", "python3", "-c", "print(1)"], "python3", ["-c", "print(1)"]),
        (["ls", "-l", "--", "--timeout"], "ls", ["-l", "--", "--timeout"]),
        (["--", "ls", "--timeout", "3"], "ls", ["--timeout", "3"]),
    ],
)
def test_what_follows_the_command_is_its_own(line, command, args):
    asked = cli._parser().parse_args(["spawn", *line])
    assert (asked.program, asked.arguments) == (command, args)


def test_the_usage_of_spawn_says_that_arguments_may_be_left_out(capsys):
    with pytest.raises(SystemExit):
        cli.main(["spawn", "--help"])
    assert capsys.readouterr().out.startswith("usage: vx11 spawn [option ...] [--] program [argument ...]")
