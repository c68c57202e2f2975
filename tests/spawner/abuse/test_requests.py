"""Attacks that lie in what is asked for, not in what is run: paths, names, variables, arguments."""

import json
import os
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.spawner.abuse.cases import SMALL
from tests.spawner.abuse.scene import Scene

ECHO = "import json, sys; print(json.dumps(sys.argv[1:]))"


def refusal(scene: Scene, status: int, **request: Any) -> dict[str, Any]:
    """The problem of a request that must be refused, with nothing started."""
    before = scene.spawner.http.get("/spawner/spawn/list").json()["items"][0]["spawn_id"]
    answer = scene.spawner.http.post("/spawner/spawn", json=SMALL | {"command": "true"} | request)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert scene.spawner.http.get("/spawner/spawn/list").json()["items"][0]["spawn_id"] == before
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    "path",
    [
        "../outside.txt",
        "../../../../../../tmp/outside.txt",
        "a/../../outside.txt",
        "/tmp/outside.txt",
        "/etc/passwd",
        "./here.txt",
        "a//b",
        "a/",
        "..",
        ".",
        "a/\u0000b",
        "x" * 300,
        "a/" * 500 + "b" * 300,
    ],
)
def test_an_input_lies_below_the_jobs_folder_or_is_refused(path: str, scene: Scene):
    around = sorted(str(one) for one in scene.spawner.place.rglob("outside.txt"))
    refusal(scene, 422, files=[{"path": path, "content": "got out"}])
    assert sorted(str(one) for one in scene.spawner.place.rglob("outside.txt")) == around == []


def test_an_input_does_not_go_through_another_input(scene: Scene):
    refusal(scene, 422, files=[{"path": "a", "content": "x"}, {"path": "a/b", "content": "x"}])
    refusal(scene, 422, files=[{"path": "a", "content": "x"}, {"path": "a", "content": "y"}])


@pytest.mark.parametrize("name", ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"])
def test_a_variable_that_says_what_is_loaded_is_refused(name: str, scene: Scene):
    assert name in refusal(scene, 422, env={name: "/job"})["detail"]


@pytest.mark.parametrize("name", ["A=B", "", "A B", "1A", "A\u0000", "BASH_FUNC_x%%", "é"])
def test_a_variable_without_a_proper_name_is_refused(name: str, scene: Scene):
    refusal(scene, 422, env={name: "x"})


@pytest.mark.parametrize(
    "request_part",
    [
        {"args": ["a\u0000b"]},
        {"command": "true\u0000"},
        {"env": {"A": "a\u0000b"}},
        {"artifacts": ["a\u0000b"]},
        {"name": "a\u0000b"},
    ],
    ids=lambda part: next(iter(part)),
)
def test_nul_is_refused(request_part: dict[str, Any], scene: Scene):
    refusal(scene, 422, **request_part)


@pytest.mark.parametrize(
    "part",
    ['"args": ["\\ud800"]', '"env": {"A": "\\udfff"}', '"files": [{"path": "\\ud800", "content": "x"}]', '"stdin": "\\ud800"',
     '"files": [{"path": "a", "content": "\\ud800"}]', '"name": "\\ud800"', '"artifacts": ["\\ud800"]', '"command": "\\ud800"'],
)  # fmt: skip
def test_half_a_character_is_refused_and_breaks_nothing(part: str, scene: Scene):
    body = '{"command": "true", "wait_seconds": 10, ' * ("command" not in part) + "{" * ("command" in part) + part + "}"
    answer = scene.spawner.http.post("/spawner/spawn", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "command",
    [
        "/job/python3",
        "./python3",
        "../bin/python3",
        "bin/python3",
        "/usr/bin/../../tmp/x",
        "/usr/bin/",
        "/usr/bin",
        "/etc/passwd",
        "/proc/self/exe",
        "/dev/null",
        "--bind",
        "-c",
        "python3 -c pass",
        "$(id)",
        "`id`",
        "true; id",
        "no-such-program",
        "..",
        "x" * 4000,
        "\u202enohtyp",
    ],
)
def test_a_command_is_a_program_of_the_system_or_refused(command: str, scene: Scene):
    refusal(scene, 422, command=command)


def test_a_program_that_anyone_could_have_put_there_is_not_run(scene: Scene):
    folder = scene.folder
    program = folder / "canary.txt"
    link = scene.spawner.place / "link"
    link.symlink_to("/usr/bin")
    refusal(scene, 422, command=str(program))
    refusal(scene, 422, command=f"{link}/../outside/canary.txt")
    link.unlink()


def test_a_program_in_the_jobs_folder_does_not_stand_for_the_systems(scene: Scene):
    liar = {"path": "python3", "content": "#!/bin/sh\necho hijacked\n", "executable": True}
    record = scene.spawner.spawn(SMALL | {"command": "python3", "args": ["-c", "print(6*7)"], "files": [liar]})
    assert record["stdout"] == "42\n"
    record = scene.spawner.spawn(SMALL | {"command": "sh", "args": ["-c", "python3 -c 'print(6*7)'"], "files": [liar]})
    assert record["stdout"] == "42\n"


@pytest.mark.parametrize(
    "args",
    [
        ["--bind", "/", "/"],
        ["--", "--dev-bind", "/", "/"],
        ["--seccomp", "9"],
        ["--args", "3"],
        ["-", "--", "---"],
        ["$(touch /job/x)", "`id`", ";id", "|id", "&&id", ">x", "*", "~", "$HOME", "'", '"', "\\"],
        ["línea\nnueva", "\ttab", "\r\n", "\x1b[31m", "\x07", "\x7f", "\u202e", "🐜", "e\u0301", "\ufeff", "\ufffe"],
        ["", " ", "  a  "],
    ],
    ids=lambda args: repr(args[0])[:20],
)
def test_arguments_reach_the_program_as_they_are_and_nobody_else(args: list[str], scene: Scene):
    record = scene.spawner.spawn(SMALL | {"command": "python3", "args": ["-c", ECHO, *args], "artifacts": ["*"]})
    assert record["reason"] == "exited", record
    assert json.loads(record["stdout"]) == args
    assert record["args"] == ["-c", ECHO, *args]
    assert record["artifacts"] == []


def test_more_arguments_than_the_kernel_takes_are_refused_honestly(scene: Scene):
    record = scene.spawner.spawn(SMALL | {"command": "true", "args": ["x" * 32_000] * 100})
    assert record["status"] == "ERROR"
    assert record["reason"] == "refused", record["reason"]
    assert record["detail"]


def test_an_environment_larger_than_the_kernel_takes_is_refused_honestly(scene: Scene):
    env = {f"V{number}": "x" * 32_000 for number in range(63)}
    record = scene.spawner.spawn(SMALL | {"command": "true", "env": env, "args": ["x" * 30_000] * 20})
    assert record["status"] == "ERROR"
    assert record["reason"] == "refused", record["reason"]


LEAVES = """
import os
os.mkdir("out")
os.symlink("/etc/passwd", "out/passwd")
os.symlink("..", "out/up")
os.symlink("../../spool/stdout", "out/spool")
os.mkfifo("out/pipe")
open("out/honest", "w").write("<script>alert(1)</script>")
open("private", "w").write("not an artifact")
"""


@pytest.fixture(scope="module")
def left(scene: Scene) -> dict[str, Any]:
    """A job that left what it should not."""
    return scene.spawner.spawn(SMALL | {"command": "python3", "args": ["-c", LEAVES], "artifacts": ["out/*"]})


@pytest.mark.parametrize(
    "path",
    [
        "out/passwd",
        "out/spool",
        "out/pipe",
        "out/up/private",
        "out/up/out/honest",
        "out/up",
        "out",
        "private",
        "../spool/stdout",
        "..%2fspool%2fstdout",
        "%2e%2e/spool/stdout",
        "out/%2e%2e/private",
        "out/../private",
        "out//honest",
        "./out/honest",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "....//spool/stdout",
        "out/honest%00",
        "out%5c..%5cprivate",
        "%c0%ae%c0%ae/private",
        "out/honest/",
    ],
)
def test_an_artifact_is_had_by_its_very_name_alone(path: str, left: dict[str, Any], scene: Scene):
    # not by httpx, which takes the dots out of a path by itself
    with closing(HTTPConnection("127.0.0.1", scene.spawner.port, timeout=30)) as connection:
        target = f"/spawner/spawn/{left['spawn_id']}/artifacts/{path}"
        connection.request("GET", target, headers={"X-VX11-Token": scene.spawner.owner})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    assert answer.status in (400, 404, 422), f"{answer.status} {text[:300]}"
    assert "root:" not in text
    assert "not an artifact" not in text


def test_an_artifact_is_given_as_a_download_that_no_browser_runs(left: dict[str, Any], scene: Scene):
    assert [one["path"] for one in left["artifacts"]] == ["out/honest"]
    answer = scene.spawner.http.get(f"/spawner/spawn/{left['spawn_id']}/artifacts/out/honest")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_network_needs_more_than_an_ordinary_token(scene: Scene):
    answer = scene.spawner.http.post("/spawner/spawn", json=SMALL | {"command": "true", "network": "full"})
    assert answer.status_code == 403, answer.text


DEEP = """
import os
for _ in range(1500):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
os.chmod(".", 0)
os.chdir("/job")
for name in range(2000):
    open(f"f{name}", "w").close()
os.mkdir("locked")
os.mkdir("locked/inner")
os.chmod("locked/inner", 0)
os.chmod("locked", 0)
os.symlink("/", "root")
os.chmod(".", 0)
"""


def test_no_folder_is_too_deep_or_too_closed_to_be_removed(scene: Scene):
    record = scene.spawner.spawn(SMALL | {"command": "python3", "args": ["-c", DEEP], "ttl_seconds": 1})
    assert record["reason"] in ("exited", "output_limit"), record
    folder = scene.spawner.folder_of(record["spawn_id"])
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists(), scene.spawner.log()[-2000:]
    assert scene.canary.exists()
    assert Path("/etc/passwd").exists()
    assert os.path.isdir("/usr/bin")
