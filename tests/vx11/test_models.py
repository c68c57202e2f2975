"""`vx11 models` and `vx11 clis` on their own: progress, letting go, what is refused. What they do is proved in tests/e2e."""

import io
import json

import httpx
import pytest

from vx11 import api as apis
from vx11 import cli, clis, models, talk
from vx11.api import Api
from vx11.errors import CommandFailed
from vx11.progress import Progress, size

JOB = {
    "job_id": "job_1", "kind": "download", "status": "RUNNING", "progress": 0.5, "result": None, "error": None, "detail": "",
    "done_bytes": 200_000_000, "total_bytes": 400_000_000,
}  # fmt: skip
MODEL = {
    "id": 7, "name": "coder", "model_id": "hub/coder", "specialty": "code", "size_bytes": 398_000_000, "license": "apache-2.0",
    "performance_score": 0.5, "usage_count": 0, "last_used_at": None, "sha256": "ab" * 32, "path": "/models/coder.gguf",
}  # fmt: skip


def api_that(answer) -> Api:
    return Api("http://gateway.invalid", "a-token", transport=httpx.MockTransport(answer))


def stream(*jobs: dict) -> httpx.Response:
    lines = "".join(f"id: {number}\nevent: x\ndata: {json.dumps(job)}\n\n" for number, job in enumerate(jobs, start=1))
    return httpx.Response(200, text=lines, headers={"content-type": "text/event-stream"})


def test_elsewhere_than_in_a_terminal_progress_is_a_line_for_each_tenth():
    out = io.StringIO()
    progress = Progress(out, is_terminal=False, now=iter(range(100)).__next__)
    for done in range(0, 401, 10):
        progress.tell(JOB | {"progress": done / 400, "done_bytes": done * 10**6})
    progress.tell(JOB | {"detail": "waits for the hub"})
    progress.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 12
    assert "100 %  400 MB of 400 MB  10 MB/s" in lines
    assert "waits for the hub" in lines[-1]


def test_in_a_terminal_one_line_is_written_over_and_left_at_the_end():
    out = io.StringIO()
    progress = Progress(out, is_terminal=True)
    progress.tell(JOB)
    progress.tell(JOB | {"progress": 1.0})
    progress.close()
    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\n")
    assert "[############------------]   50 %  200 MB of 400 MB" in out.getvalue()


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [(None, "-"), (0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (398_000_000, "398 MB"), (4_680_000_000, "4.7 GB")],
)
def test_sizes_are_told_in_powers_of_ten(size_bytes, told):
    assert size(size_bytes) == told


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("500MB", 500_000_000), ("2GB", 2 * 10**9), ("1.5g", 15 * 10**8), ("12", 12)]
)
def test_sizes_are_read(text, size_bytes):
    assert cli._parser().parse_args(["models", "search", "x", "--size-max", text]).size_max == size_bytes


@pytest.mark.parametrize("text", ["", "MB", "-1MB", "1TBB", "half"])
def test_other_sizes_are_refused(text):
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["models", "search", "x", "--size-max", text])


def test_letting_go_of_a_download_cancels_nothing_and_says_how_to_follow_and_cancel_it(monkeypatch, capsys):
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path))
        if request.url.path.endswith("/events"):
            raise KeyboardInterrupt
        return httpx.Response(202, json=JOB)

    with api_that(answer) as api, pytest.raises(KeyboardInterrupt):
        models.download(api, "hub/coder", quantization="Q4_K_M", revision=None, name=None)
    assert asked == [("POST", "/hermes/download"), ("GET", "/hermes/jobs/job_1/events")]
    told = capsys.readouterr().err
    assert "vx11 models follow job_1" in told
    assert "vx11 models cancel job_1" in told


def test_a_download_is_followed_through_a_restart_of_hermes(monkeypatch, capsys):
    monkeypatch.setattr(apis.time, "sleep", lambda _: None)
    done = JOB | {"status": "DONE", "progress": 1.0, "result": MODEL}
    answers = iter(
        [
            stream(JOB),
            httpx.Response(503, json={}),
            httpx.Response(502, text=""),
            stream(done),
            httpx.Response(200, json=done),
        ]
    )
    with api_that(lambda _: next(answers)) as api:
        assert models.follow(api, "job_1") == 0
    assert "coder is registered with the id 7: 398 MB, apache-2.0" in capsys.readouterr().out


def test_a_download_is_followed_through_a_kill_of_hermes_that_breaks_its_stream(monkeypatch, capsys):
    monkeypatch.setattr(apis.time, "sleep", lambda _: None)
    done = JOB | {"status": "DONE", "progress": 1.0, "result": MODEL}

    def broken():
        yield f"id: 1\nevent: x\ndata: {json.dumps(JOB)}\n\n".encode()
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    answers = iter([httpx.Response(200, content=broken()), stream(done), httpx.Response(200, json=done)])
    with api_that(lambda _: next(answers)) as api:
        assert models.follow(api, "job_1") == 0
    assert "coder is registered with the id 7" in capsys.readouterr().out


def test_a_gateway_that_breaks_every_stream_is_given_up(monkeypatch):
    monkeypatch.setattr(apis.time, "sleep", lambda _: None)

    def broken():
        yield b"id: 1\n"
        raise httpx.RemoteProtocolError("peer closed connection")

    with (
        api_that(lambda _: httpx.Response(200, content=broken())) as api,
        pytest.raises(CommandFailed, match=r"connection to http://gateway\.invalid broke"),
    ):
        models.follow(api, "job_1")


def test_a_search_says_what_cannot_be_fetched(capsys):
    found = {
        "model_id": "lab/coder", "source": "huggingface", "score": 0.5, "size_bytes": 2_000_000, "quantizations": ["Q4_0"],
        "license": "mit",
        "fit": {"is_fitting": True}, "is_kept": False, "is_gated": False, "access_url": None,
    }  # fmt: skip
    unsized = {"size_bytes": None, "quantizations": [], "fit": {"is_fitting": None}}
    items = [
        found,
        found | unsized | {"model_id": "lab/pickled"},
        found | unsized | {"model_id": "lab/hosted", "source": "openrouter"},
    ]
    with api_that(lambda _: httpx.Response(200, json={"items": items, "warnings": []})) as api:
        models.search(api, "coder", source="all", limit=10, filters={})
    told = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert told["lab/coder"].endswith("fits")
    assert told["lab/pickled"].endswith("no version that can be fetched")
    assert told["lab/hosted"].endswith("at OpenRouter only")


def test_a_question_is_shown_with_what_to_know_before_the_answer(capsys):
    reply = {
        "plan_id": "plan_1", "status": "WAITING", "plan": None, "question": "Shall I?", "response": "Shall I?", "confirmation": None,
        "warnings": ["It wants its licence accepted first at http://hub/x"], "session_id": "s1",
    }  # fmt: skip
    with api_that(lambda _: httpx.Response(202, json=reply)) as api:
        talk.chat(api, "download x", files=[], assets=[], session_id=None, wait=True, yes=False, dry_run=False)
    assert "note: It wants its licence accepted first at http://hub/x" in capsys.readouterr().out


def test_a_download_that_fails_is_told_with_its_reason():
    failed = JOB | {"status": "ERROR", "error": "gated_model: accept the licence at http://hub/x"}
    answers = iter([stream(failed), httpx.Response(200, json=failed)])
    with (
        api_that(lambda _: next(answers)) as api,
        pytest.raises(CommandFailed, match="accept the licence at http://hub/x"),
    ):
        models.follow(api, "job_1")


@pytest.mark.parametrize(("said", "told"), [("nothing", "there is no model nothing"), ("hub/coder", "give the id")])
def test_a_model_is_never_guessed(said, told):
    page = {"items": [MODEL, MODEL | {"id": 8, "name": "coder-q8"}], "next_cursor": None}
    with api_that(lambda _: httpx.Response(200, json=page)) as api, pytest.raises(CommandFailed, match=told):
        models.remove(api, said, yes=True)


def test_a_removal_shows_what_would_go_and_the_command_that_confirms_it(capsys):
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/hermes/models":
            return httpx.Response(200, json={"items": [MODEL], "next_cursor": None})
        assert json.loads(request.content) == {"target": "hermes", "action": "delete_model", "params": {"model_id": 7}}
        waiting = {"status": "pending_confirmation", "plan_id": "plan_1", "confirm_token": "t", "expires_at": "later"}
        return httpx.Response(202, json=waiting | {"risk": "HIGH", "reason": "it deletes coder (398 MB, id 7)"})

    with api_that(answer) as api:
        assert models.remove(api, "coder", yes=False) == 0
    told = capsys.readouterr().out
    assert "coder (398 MB, id 7)" in told
    assert "vx11 confirm plan_1 t" in told


def test_tools_that_are_not_here_are_shown_only_when_asked_for(capsys):
    git = {
        "name": "git",
        "kind": "vcs",
        "version": None,
        "version_state": "pending",
        "answers_prompts": False,
        "path": "/bin/git",
    }
    tools = [git | {"is_present": True}, git | {"name": "hg", "is_present": False, "version_state": None, "path": None}]
    with api_that(lambda _: httpx.Response(200, json={"items": tools, "present": 1, "pending": 1})) as api:
        clis.show(api, all_known=False)
        assert "hg" not in (told := capsys.readouterr().out)
        assert "asking…" in told
        clis.show(api, all_known=True)
    assert "not here" in capsys.readouterr().out


def test_what_a_discovery_finds_is_shown_surest_first_with_its_source(capsys):
    found = {
        "description": "A fast grep", "version": "14.1", "license": "MIT", "documentation_urls": ["http://docs"], "api_urls": [],
        "installs": [
            {"command": "pip install x", "manager": "pip", "source_url": "http://a", "confidence": 0.2},
            {"command": "brew install ripgrep", "manager": "brew", "source_url": "http://b", "confidence": 0.9},
        ],
        "warnings": [{"source": "npm", "code": "x", "detail": "silent"}],
    }  # fmt: skip
    with api_that(lambda _: httpx.Response(200, json=JOB | {"status": "DONE", "result": found})) as api:
        assert clis.discover(api, "rg", method="registry") == 0
    told = capsys.readouterr().out
    assert told.index("brew install ripgrep") < told.index("pip install x")
    assert "http://b" in told
    assert "note: npm: silent" in told
