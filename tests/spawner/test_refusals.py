"""What is not run: each refusal says what to do instead, and nothing is kept of what was refused."""

import os
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.contracts.spawner import Level
from config.grants import issue
from spawner.rungs import RUNGS
from spawner.settings import Profile, SpawnerSettings
from tests.spawner.conftest import problem

MANY = "x" * 300_000


@pytest.mark.parametrize(
    ("request_", "code", "said"),
    [
        ({"command": "./check.py"}, "command_refused", "relative path"),
        ({"command": "bin/ls"}, "command_refused", "relative path"),
        ({"command": "../bin/ls"}, "command_refused", "relative path"),
        ({"command": ".."}, "command_refused", "not the name of a program"),
        ({"command": "/usr/bin/../bin/ls"}, "command_refused", "`..`"),
        ({"command": "/etc/passwd"}, "command_refused", "none of the folders"),
        ({"command": "/usr/sbin/../../etc/passwd"}, "command_refused", "`..`"),
        ({"command": "/proc/self/exe"}, "command_refused", "none of the folders"),
        ({"command": "/usr/bin"}, "command_refused", "not a file"),
        ({"command": "/usr/bin/no-such-program"}, "command_refused", "there is no program"),
        ({"command": "no-such-program"}, "command_refused", "there is no program"),
        ({"command": "ls -la"}, "command_refused", "arguments go into `args`"),
        ({"command": "ls | wc"}, "command_refused", '`sh` with args ["-c", "…"]'),
        ({"command": "/bin/ls -la"}, "command_refused", "there is no shell"),
        ({"command": "$HOME/run"}, "command_refused", "there is no shell"),
        ({"command": "FOO=1"}, "command_refused", "there is no shell"),
        ({"command": "cat a && " + "cat a " * 100}, "command_refused", "there is no shell"),
        ({"command": "/etc/../etc/pass wd"}, "command_refused", "there is no shell"),
        ({"command": "x" * 4000}, "command_refused", "not the name"),
        ({"command": "true", "env": {"PATH": "/tmp"}}, "input_refused", "PATH"),
        ({"command": "true", "env": {"LD_PRELOAD": "/job/x.so"}}, "input_refused", "LD_PRELOAD"),
        ({"command": "true", "files": [{"path": "/etc/x", "content": ""}]}, "input_refused", "absolute"),
        ({"command": "true", "files": [{"path": "a/../../x", "content": ""}]}, "input_refused", "`..`"),
        ({"command": "true", "files": [{"path": "a//x", "content": ""}]}, "input_refused", "empty"),
        ({"command": "true", "files": [{"path": "a/", "content": ""}]}, "input_refused", "empty"),
        ({"command": "true", "files": [{"path": "./a", "content": ""}]}, "input_refused", "`.`"),
        ({"command": "true", "files": [{"path": "n" * 256, "content": ""}]}, "input_refused", "longer"),
        ({"command": "true", "files": [{"path": "a", "content": ""}] * 2}, "input_refused", "twice"),
        (
            {"command": "true", "files": [{"path": "a", "content": ""}, {"path": "a/b", "content": ""}]},
            "input_refused",
            "at once",
        ),
        ({"command": "true", "files": [{"path": "a", "content_base64": "%%%"}]}, "input_refused", "base64"),
        (
            {"command": "true", "files": [{"path": "a", "content": MANY}, {"path": "b", "content": MANY}]},
            "input_refused",
            "assets",
        ),
        ({"command": "true", "artifacts": ["../*"]}, "input_refused", "`..`"),
        ({"command": "true", "artifacts": ["/etc/*"]}, "input_refused", "absolute"),
        ({"command": "true", "profile": "nobody"}, "profile_missing", "no profile"),
        ({"command": "true", "project": "none"}, "input_refused", "no project"),
        ({"command": "true", "project_copy": True}, "input_refused", "name it"),
        ({"command": "true", "timeout_seconds": 3601}, "input_refused", "3600"),
        ({"command": "true", "max_memory_mb": 5000}, "input_refused", "VX11_SPAWNER_MOST_MEMORY_MB"),
        ({"command": "true", "max_cpu_seconds": 20_000}, "input_refused", "14400"),
        ({"command": "true", "max_processes": 600}, "input_refused", "512"),
        ({"command": "true", "max_output_bytes": 100_000_000}, "input_refused", "VX11_SPAWNER_MOST_OUTPUT_BYTES"),
        ({"command": "true", "max_disk_mb": 5000}, "input_refused", "VX11_SPAWNER_MOST_DISK_MB"),
        ({"command": "true", "ttl_seconds": 700_000}, "input_refused", "VX11_SPAWNER_MOST_TTL_SECONDS"),
        ({"command": "true\x00"}, "invalid_request", "NUL"),
        ({"command": "true", "args": ["a\x00b"]}, "invalid_request", "NUL"),
        ({"command": "true", "env": {"A": "\x00"}}, "invalid_request", "NUL"),
        ({"command": "true", "env": {"A=B": "x"}}, "invalid_request", "env"),
        ({"command": "true", "files": [{"path": "a"}]}, "invalid_request", "exactly one"),
        ({"command": ""}, "invalid_request", "command"),
        ({}, "invalid_request", "command"),
        ({"command": "true", "network": "some"}, "invalid_request", "network"),
        ({"command": "true", "timeout_seconds": -1}, "invalid_request", "timeout_seconds"),
        ({"command": "true", "min_protection": {"network": "enforced"}}, "invalid_request", "min_protection.network"),
    ],
)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_request_that_may_not_be_is_refused_with_a_reason(shared, request_, code, said):
    answer = await shared.http.post("/spawner/spawn", json=request_)
    assert said in problem(answer, 422, code)["detail"], answer.text
    assert (await shared.http.get("/spawner/spawn/list")).json()["items"] == []
    assert shared.folders() == []


async def test_unicode_and_odd_arguments_arrive_as_they_are(spawner_at):
    args = ["ñ", "😀", "", " ", "-rf", "--", "$(id)", "`id`", "a\nb", "*", ";", "\x1b[2J", "'\""]
    async with spawner_at() as spawner:
        job = await spawner.run("python3", "-c", "import sys; print(ascii(sys.argv[1:]))", *args)
        assert job["stdout"] == ascii(args) + "\n"


@pytest.fixture
def tools(work_dir: Path) -> Path:
    """A folder of programs, some of which must not be run."""
    folder = work_dir / "tools"
    folder.mkdir(mode=0o755)
    script = "#!/bin/sh\necho ran as $0\n"
    for name, mode in (("good", 0o755), ("open", 0o777), ("plain", 0o644)):
        (folder / name).write_text(script)
        (folder / name).chmod(mode)
    (folder / "named").symlink_to("good")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "shell").symlink_to("/bin/sh")
    (folder / "dir").mkdir()
    (folder / "pipe").unlink(missing_ok=True)
    os.mkfifo(folder / "pipe", 0o755)
    return folder


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("open", "written by everybody"),
        ("plain", "not executable"),
        ("out", "none of the folders"),
        ("shell", "none of the folders"),
        ("dir", "not a file"),
        ("pipe", "not a file"),
        ("dangling", "there is no program"),
    ],
)
async def test_a_program_must_be_a_safe_file_of_an_allowed_folder(spawner_at, tools, name, said):
    (tools / "dangling").symlink_to("gone")
    async with spawner_at(spawner_command_dirs=str(tools), spawner_system_dirs=[tools]) as spawner:
        for command in (name, f"{tools}/{name}"):
            answer = await spawner.http.post("/spawner/spawn", json={"command": command})
            assert said in problem(answer, 422, "command_refused")["detail"], answer.text
        for command in ("good", "named"):
            job = await spawner.run(command)
            assert job["stdout"] == f"ran as {tools.resolve()}/{command}\n", job
        tools.chmod(0o777)
        answer = await spawner.http.post("/spawner/spawn", json={"command": "good"})
        assert "written by everybody" in problem(answer, 422, "command_refused")["detail"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only a spawner that is root runs jobs as other users")
async def test_a_program_that_belongs_to_a_user_of_jobs_is_not_run(spawner_at, tools):
    async with spawner_at(spawner_command_dirs=str(tools), spawner_system_dirs=[tools]) as spawner:
        os.chown(tools / "good", spawner.app.state.spawner.runs.job_uids[0], 0)
        answer = await spawner.http.post("/spawner/spawn", json={"command": "good"})
        assert "belongs to a user" in problem(answer, 422, "command_refused")["detail"]


async def test_limits_left_at_their_default_are_brought_down_to_the_most(spawner_at):
    async with spawner_at(spawner_most_memory_mb=128, spawner_most_timeout_seconds=10) as spawner:
        job = await spawner.run("true")
        assert (job["limits"]["max_memory_mb"], job["limits"]["timeout_seconds"]) == (128, 10)
        answer = await spawner.http.post("/spawner/spawn", json={"command": "true", "max_memory_mb": 129})
        assert "128" in problem(answer, 422, "input_refused")["detail"]


async def test_protection_that_cannot_be_had_is_a_conflict_and_nothing_is_kept(spawner_at):
    async with spawner_at() as spawner:
        spawner.app.state.spawner.admission._protections = spawner.app.state.spawner.runs.protections.model_copy(
            update={"mem": Level.BEST_EFFORT, "pid": Level.NONE}
        )
        wanted = {"mem": "enforced", "pid": "best_effort", "fs": "none"}
        answer = await spawner.http.post("/spawner/spawn", json={"command": "true", "min_protection": wanted})
        detail = problem(answer, 409, "protection_unmet")["detail"]
        assert "mem is best_effort and enforced was asked for" in detail
        assert "pid is none" in detail
        assert "fs" not in detail
        assert (await spawner.http.get("/spawner/spawn/list")).json()["items"] == []
        assert (await spawner.run("true", min_protection={"mem": "best_effort"}))["status"] == "DONE"


FULL = {"command": "true", "args": ["a"], "network": "full"}


async def test_network_needs_a_grant_or_a_scope_that_names_it(spawner_at):
    async with spawner_at() as spawner:
        answer = await spawner.http.post("/spawner/spawn", json=FULL)
        problem(answer, 403, "grant_refused")
        refused = await spawner.audit("grant_refused")
        assert [row["caller"] for row in refused] == ["owner"]
        assert await spawner.audit("spawn_accepted") == []
        assert (await spawner.http.get("/spawner/spawn/list")).json()["items"] == []
        headers = {
            "X-VX11-Token": spawner.secrets.fleet.get_secret_value(),
            "X-VX11-Caller": "token:7",
            "X-VX11-Scopes": "spawner:write spawner:read spawner:network",
        }
        allowed = await spawner.http.post("/spawner/spawn", json={**FULL, "wait_seconds": 20}, headers=headers)
        assert (allowed.status_code, allowed.json()["network"]) == (200, "full"), allowed.text
        assert [row["caller"] for row in await spawner.audit("network_allowed")] == ["token:7"]
        assert allowed.json()["protections"]["net"] == "none"
        kept_apart = {**FULL, "min_protection": {"net": "best_effort"}}
        problem(await spawner.http.post("/spawner/spawn", json=kept_apart, headers=headers), 409, "protection_unmet")


async def test_a_grant_opens_once_and_for_exactly_its_command(spawner_at):
    async with spawner_at() as spawner:

        def grant(**params):
            given = {"command": "true", "args": ["a"], "network": "full"} | params
            return {
                "X-VX11-Grant": issue(
                    spawner.secrets, plan_id="plan_1", step_id="s1", operation="spawner:network", params=given
                )
            }

        for other in ({"command": "curl"}, {"args": ["b"]}, {"network": "none"}, {"more": 1}):
            answer = await spawner.http.post("/spawner/spawn", json=FULL, headers=grant(**other))
            problem(answer, 403, "grant_refused")
        good = grant()
        first = await spawner.http.post("/spawner/spawn", json=FULL, headers=good)
        assert first.status_code == 202
        problem(await spawner.http.post("/spawner/spawn", json=FULL, headers=good), 403, "grant_refused")
        assert len((await spawner.http.get("/spawner/spawn/list")).json()["items"]) == 1


async def test_a_profile_is_only_for_its_callers_and_brings_what_it_says(spawner_at, work_dir):
    (work_dir / "credentials").mkdir(mode=0o755)
    (work_dir / "credentials/key").write_text("k-1\n")
    profile = Profile.model_validate(
        {
            "callers": ["switch"],
            "mounts": [{"source": str(work_dir / "credentials"), "target": "/credentials"}],
            "env": {"KEYS": "/credentials"},
        }
    )
    async with spawner_at(spawner_profiles={"cli": profile}) as spawner:
        body = {"command": "cat", "args": ["/credentials/key"], "profile": "cli", "wait_seconds": 20}
        problem(await spawner.http.post("/spawner/spawn", json=body), 403, "forbidden")
        switch = {"X-VX11-Token": spawner.secrets.fleet.get_secret_value(), "X-VX11-Caller": "switch"}
        job = (await spawner.http.post("/spawner/spawn", json=body, headers=switch)).json()
        assert (job["stdout"], job["network"]) == ("k-1\n", "none"), job
        script = "import os; print(os.environ['KEYS']); open('/credentials/key', 'w')"
        body |= {"command": "python3", "args": ["-c", script], "env": {"KEYS": "/elsewhere"}}
        job = (await spawner.http.post("/spawner/spawn", json=body, headers=switch)).json()
        assert job["stdout"] == "/credentials\n"
        assert "Read-only" in job["stderr"], job["stderr"]


@pytest.fixture
def project(work_dir: Path) -> dict[str, object]:
    folder = work_dir / "x"
    (folder / "src").mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    (folder / "src").chmod(0o755)
    (folder / "src/a.py").write_text("print('a')\n")
    (folder / "run").write_text("#!/bin/sh\necho run\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "inner").symlink_to("src/a.py")
    os.mkfifo(folder / "pipe")
    return {"x": {"path": str(folder)}}


async def test_a_project_is_seen_read_only(spawner_at, project):
    async with spawner_at(projects=project) as spawner:
        assert (await spawner.run("python3", "/project/src/a.py", project="x"))["stdout"] == "a\n"
        job = await spawner.python("open('/project/new', 'w')", project="x")
        assert "Read-only" in job["stderr"], job["stderr"]


async def test_a_copy_of_a_project_can_be_written_in_and_leaves_the_project_alone(spawner_at, project, work_dir):
    async with spawner_at(projects=project) as spawner:
        script = """
import os, subprocess
os.chdir("project")
print(sorted(os.listdir(".")), os.readlink("link"), open("inner").read().strip(), flush=True)
print(subprocess.check_output(["./run"]).decode().strip())
open("src/a.py", "w").write("changed"); open("new", "w").write("new")
"""
        job = await spawner.python(script, project="x", project_copy=True, artifacts=["project/new"])
        assert job["stdout"] == "['inner', 'link', 'run', 'src'] /etc/passwd print('a')\nrun\n", job
        assert [one["path"] for one in job["artifacts"]] == ["project/new"]
        assert (work_dir / "x/src/a.py").read_text() == "print('a')\n"
        (work_dir / "x/large").write_bytes(bytes(3 * 1024 * 1024))
        job = await spawner.run("true", project="x", project_copy=True, max_disk_mb=1)
        assert (job["status"], job["reason"]) == ("ERROR", "refused")
        assert "max_disk_mb" in job["detail"]
        body = {
            "command": "true",
            "project": "x",
            "project_copy": True,
            "files": [{"path": "project/a", "content": ""}],
        }
        problem(await spawner.http.post("/spawner/spawn", json=body), 422, "input_refused")


def test_the_python_of_the_tests_is_not_needed_by_jobs():
    """Jobs run the system's; where there is none, half of these tests could not tell anything."""
    assert any(Path(folder, "python3").exists() for folder in ("/usr/local/bin", "/usr/bin")), sys.executable


async def test_a_program_whose_name_has_a_blank_is_found(spawner_at, tools):
    (tools / "my tool").write_text("#!/bin/sh\necho mine\n")
    (tools / "my tool").chmod(0o755)
    async with spawner_at(spawner_command_dirs=f"{tools}:/usr/bin", spawner_system_dirs=[tools]) as spawner:
        for command in ("my tool", str(tools / "my tool")):
            assert (await spawner.run(command))["stdout"] == "mine\n"


async def test_fields_that_are_not_known_are_passed_over_elsewhere(spawner_at):
    async with spawner_at() as spawner:
        assert (await spawner.run("true", colour="red", files=[{"path": "a", "content": "", "colour": "red"}]))[
            "status"
        ] == "DONE"


@pytest.mark.parametrize("rung", RUNGS, ids=lambda rung: rung.name)
def test_every_rung_can_be_chosen(rung):
    assert SpawnerSettings(_env_file=None, spawner_rung=rung.name).spawner_rung == rung.name


def test_a_rung_that_is_none_is_refused():
    with pytest.raises(ValidationError, match="spawner_rung"):
        SpawnerSettings(_env_file=None, spawner_rung="S9")
