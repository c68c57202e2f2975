"""The tools of a box: real programs in folders of their own, found on the PATH and asked for their versions."""

import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from config.clock import utc_now
from hermes.clis.catalogue import catalogue
from tests.hermes.conftest import Hermes, problem, serving, until

Put = Callable[..., Path]

VERSION = 'echo "tool version 1.2.3"'


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """`put("git", "echo 1.2")` makes a program, in the only folder of the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str = VERSION, *, into: Path = folder, mode: int = 0o755) -> Path:
        program = into / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(mode)
        return program

    return put


async def scan(hermes: Hermes) -> dict[str, Any]:
    answer = await hermes.http.post("/hermes/clis/scan")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def settled(hermes: Hermes, **params: Any) -> dict[str, dict[str, Any]]:
    """The tools that are here, when no version is pending any more."""

    async def look() -> dict[str, dict[str, Any]] | None:
        found = (await hermes.http.get("/hermes/clis", params={"present": True} | params)).json()
        return None if found["pending"] else {one["name"]: one for one in found["items"]}

    found: dict[str, dict[str, Any]] = await until(look)
    return found


async def registered(hermes: Hermes, name: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The registry's entry, once it is so."""

    async def look() -> dict[str, Any] | None:
        answer = await hermes.hermes_db.get(f"/hermes_db/clis/{name}")
        return answer.json() if answer.status_code == 200 and is_so(answer.json()) else None

    entry: dict[str, Any] = await until(look)
    return entry


@asynccontextmanager
async def listening_switch() -> AsyncIterator[tuple[str, list[str]]]:
    """Switch's door for news, on a real socket; its address, and who knocked."""
    app, told = FastAPI(), []

    @app.post("/switch/registry/refresh")
    async def refresh() -> dict[str, Any]:
        told.append("refresh")
        return {"models": 0, "clis": ["claude"], "read_at": utc_now()}

    async with serving(app) as url:
        yield url, told


def test_the_catalogue_knows_the_tools_that_people_use() -> None:
    tools = {tool.name: tool for tool in catalogue()}
    assert len(tools) == len(catalogue()) >= 80
    assert {"git", "docker", "kubectl", "java", "ffmpeg", "psql", "ssh"} <= tools.keys()
    asked = {name for name, tool in tools.items() if tool.answers_prompts}
    assert {"claude", "codex", "gemini", "aider", "opencode", "ollama", "llm"} <= asked
    assert asked.isdisjoint({"git", "python", "node", "curl"})


@pytest.mark.parametrize(
    ("name", "said", "version"),
    [
        ("git", "git version 2.39.5", "2.39.5"),
        ("ssh", "OpenSSH_9.2p1 Debian-2+deb12u5, OpenSSL 3.0.15", "9.2"),
        ("systemctl", "systemd 252 (252.30-1~deb12u2)", "252"),
        ("llama-cli", "version: 4381 (a1b2c3d)", "4381"),
        ("git", "no number here, only 7", None),
    ],
)
def test_a_version_is_the_first_one_that_a_tool_names(name: str, said: str, version: str | None) -> None:
    tool = next(one for one in catalogue() if one.name == name)
    assert tool.version_in(said) == version


async def test_a_scan_answers_before_slow_tools_do_and_loses_none_of_them(hermes_at, put, tmp_path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    put("git")
    put("kubectl", f'read line < {gate}; echo "Client Version: v1.30.1 $*"')
    put("java", 'echo "openjdk version \\"17.0.9\\"" >&2')
    async with hermes_at() as hermes:
        found = await scan(hermes)
        assert found["present"] == found["pending"] == 3
        assert {one["name"] for one in found["items"] if one["version_state"] == "pending"} == {
            "git",
            "kubectl",
            "java",
        }
        assert len(found["items"]) == len(catalogue())
        end = os.open(gate, os.O_RDWR)  # waits for nobody
        os.write(end, b"go\n")
        tools = await settled(hermes)
        os.close(end)
        assert {name: one["version"] for name, one in tools.items()} == {
            "git": "1.2.3",
            "kubectl": "1.30.1",
            "java": "17.0.9",
        }
        assert {one["version_state"] for one in tools.values()} == {"known"}


async def test_tools_that_misbehave_cost_their_own_version_and_nobody_elses(hermes_at, put, tmp_path) -> None:
    child = tmp_path / "child"
    put("git")
    put("go", "exec /bin/sleep 1000")
    put("curl", 'if read answer; then echo "7.7.7"; else echo "nobody there"; fi')
    put("tmux", 'if read answer < /dev/tty; then echo "7.7.7"; else echo "tmux 3.4"; fi')
    put("ruby", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")
    put("perl", "printf '\\377\\376 v5.36.0\\n'")
    put("node", "echo 'needs libc 2.28' >&2; exit 1")
    put("npm", f'/bin/sleep 1000 & echo $! > {child}; echo "10.2.3"')
    put("wget", "", mode=0o644)
    tmp_path.joinpath("bin", "rsync").mkdir()
    async with hermes_at(hermes_cli_timeout=1.5, hermes_cli_workers=8) as hermes:
        await scan(hermes)
        tools = await settled(hermes)
        versions = {name: one["version"] for name, one in tools.items()}
        assert versions == {
            "git": "1.2.3",
            "go": None,
            "curl": None,
            "tmux": "3.4",
            "ruby": None,
            "perl": "5.36.0",
            "node": None,
            "npm": "10.2.3",
        }
        assert "1.5 seconds" in tools["go"]["detail"]
        assert "without end" in tools["ruby"]["detail"]
        assert tools["node"]["detail"] == "it ended with 1 and told no version"
        assert tools["go"]["version_state"] == "unknown"
        assert not is_alive(int(child.read_text()))


async def test_a_tool_that_was_late_in_the_crowd_is_asked_again_alone(hermes_at, put, tmp_path) -> None:
    asked = tmp_path / "asked"
    put("mvn", f'if [ -e {asked} ]; then echo "Apache Maven 3.9.9"; else : > {asked}; exec /bin/sleep 1000; fi')
    async with hermes_at(hermes_cli_timeout=1.5) as hermes:
        await scan(hermes)
        assert (await settled(hermes))["mvn"]["version"] == "3.9.9"


async def test_a_service_that_stops_takes_its_questions_along_and_keeps_the_answers(hermes_at, put, tmp_path) -> None:
    number = tmp_path / "number"
    put("git")
    put("go", f"echo $$ > {number}.new; /bin/mv {number}.new {number}; exec /bin/sleep 1000")
    async with hermes_at(hermes_cli_timeout=500) as hermes:
        await scan(hermes)
        await until(lambda: _version_of(hermes, "git"))
        await until(lambda: _is_there(number))
    assert not is_alive(int(number.read_text()))
    async with hermes_at(hermes_cli_timeout=500) as hermes:
        assert {one["name"]: one["version"] for one in (await scan(hermes))["items"] if one["is_present"]} == {
            "git": "1.2.3",
            "go": None,
        }


async def test_a_tool_sees_nothing_of_ours(hermes_at, put, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VX11_TOKEN", "a-secret-of-ours")
    monkeypatch.setenv("OPENAI_API_KEY", "another-one")
    seen = tmp_path / "seen"
    put("git", f'/usr/bin/env > {seen}; pwd >> {seen}; touch left 2>/dev/null; echo 1.0; : > "$HOME/rubbish"')
    async with hermes_at() as hermes:
        await scan(hermes)
        await settled(hermes)
    text = seen.read_text()
    assert "secret" not in text
    assert "another-one" not in text
    assert "VX11" not in text
    environment = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    home = Path(environment["HOME"])
    assert home != Path.home()
    assert text.splitlines()[-1] == str(home)
    assert not is_there(home)


async def test_versions_are_kept_between_starts_until_the_file_changes(hermes_at, put, tmp_path) -> None:
    count = tmp_path / "count"
    script = f"echo x >> {count}; echo %s"
    put("git", script % "2.0.1")
    gone = put("curl", "echo 8.0.1")
    async with hermes_at() as hermes:
        await scan(hermes)
        await settled(hermes)
        kept = hermes.settings.state_dir / "cache" / "hermes" / "cli-versions.json"
        await registered(hermes, "curl", lambda _: True)
    assert {Path(one["path"]).name for one in json.loads(kept.read_text())} == {"git", "curl"}
    gone.unlink()
    async with hermes_at() as hermes:
        found = await scan(hermes)
        assert (found["present"], found["pending"]) == (1, 0)
        assert (await settled(hermes))["git"]["version"] == "2.0.1"
        assert count.read_text() == "x\n"
        put("git", script % "2.0.2-and-longer")
        assert (await scan(hermes))["pending"] == 1
        assert (await settled(hermes))["git"]["version"] == "2.0.2"
        await registered(hermes, "git", lambda entry: entry["version"] == "2.0.2")
    assert [Path(one["path"]).name for one in json.loads(kept.read_text())] == ["git"]
    kept.write_text("{ not what we wrote")
    async with hermes_at() as hermes:
        assert (await scan(hermes))["pending"] == 1
        assert (await settled(hermes))["git"]["version"] == "2.0.2"


async def test_one_file_that_is_two_tools_is_asked_as_each_of_them(hermes_at, put, tmp_path) -> None:
    shim = put(
        "rustup", 'case "$0" in */cargo) echo "cargo 1.80.0";; */rustc) echo "rustc 1.79.0";; *) echo 1.27.1;; esac'
    )
    tmp_path.joinpath("bin", "cargo").symlink_to(shim)
    tmp_path.joinpath("bin", "rustc").symlink_to(shim)
    async with hermes_at() as hermes:
        await scan(hermes)
        tools = await settled(hermes)
        assert [tools[name]["version"] for name in ("rustup", "cargo", "rustc")] == ["1.27.1", "1.80.0", "1.79.0"]


async def test_folders_and_files_that_anybody_may_write_do_not_count(hermes_at, put, tmp_path, monkeypatch) -> None:
    open_to_all, own = tmp_path / "open", tmp_path / "own"
    ran = tmp_path / "ran"
    for folder in (open_to_all, own):
        folder.mkdir()
    put("git", f"echo x > {ran}; echo 6.6.6", into=open_to_all)
    open_to_all.chmod(0o777)
    put("curl", f"echo x > {ran}; echo 6.6.6", into=own, mode=0o777)
    right = put("git", "echo 1.0.0", into=own)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", os.pathsep.join([str(open_to_all), "", "no/such", "own", str(own)]))
    async with hermes_at() as hermes:
        await scan(hermes)
        tools = await settled(hermes)
        assert {name: one["path"] for name, one in tools.items()} == {"git": str(right)}
    assert not ran.exists()


async def test_the_list_takes_filters_and_refuses_nonsense(hermes_at, put) -> None:
    put("git")
    put("claude")
    async with hermes_at() as hermes:
        await scan(hermes)
        assert set(await settled(hermes, answers_prompts=True)) == {"claude"}
        assert set(await settled(hermes, kind="vcs")) == {"git"}
        absent = (await hermes.http.get("/hermes/clis", params={"present": False, "kind": "vcs"})).json()
        assert absent["present"] == 0
        assert "git" not in {one["name"] for one in absent["items"]}
        assert {"hg", "svn"} <= {one["name"] for one in absent["items"]}
        problem(await hermes.http.get("/hermes/clis", params={"present": "perhaps"}), 422, "invalid_request")


async def test_what_is_found_is_registered_and_switch_is_told_once(hermes_at, put) -> None:
    put("claude", "echo '2.1.0 (Claude Code)'")
    async with listening_switch() as (switch_url, told), hermes_at(switch_url=switch_url) as hermes:
        await scan(hermes)
        entry = await registered(hermes, "claude", lambda _: True)
        assert entry["version"] == "2.1.0"
        assert entry["answers_prompts"] is entry["is_active"] is True
        assert entry["path"].endswith("/bin/claude")
        assert entry["kind"] == "ai"
        await until(lambda: _is_told(told, 1))
        put("git")
        await scan(hermes)  # a round in which claude does not change
        await registered(hermes, "git", lambda _: True)
        await until(lambda: _is_told(told, 2))
        assert len(told) == 2


async def test_a_tool_that_goes_is_put_away_and_comes_back_with_its_new_version(hermes_at, put) -> None:
    program = put("codex", "echo 0.1.0")
    async with hermes_at() as hermes:
        await scan(hermes)
        await registered(hermes, "codex", lambda entry: entry["is_active"])
        program.unlink()
        await scan(hermes)
        assert (await registered(hermes, "codex", lambda entry: not entry["is_active"]))["version"] == "0.1.0"
        put("codex", "echo 0.2.0")
        await scan(hermes)
        assert (await registered(hermes, "codex", lambda entry: entry["is_active"]))["version"] == "0.2.0"


async def test_what_a_person_set_stays(hermes_at, put) -> None:
    put("git", "echo 1.0.0")
    put("llm", "echo 0.20.1")
    put("curl", "echo 8.1.0")
    own = {
        "description": "ours, patched",
        "install_command": "make install",
        "documentation_url": "https://git.example/docs",
        "max_concurrent": 2,
        "metadata": {"owner": "the audio team"},
        "path": "/opt/git/bin/git",
    }
    async with hermes_at() as hermes:
        assert (await hermes.hermes_db.put("/hermes_db/clis/git", json=own)).status_code in (200, 201)
        assert (await hermes.hermes_db.put("/hermes_db/clis/hg", json={"path": "/opt/hg"})).status_code in (200, 201)
        await scan(hermes)
        entry = await registered(hermes, "git", lambda entry: entry["version"] is not None)
        assert {name: entry[name] for name in own if name != "metadata"} == {
            name: value for name, value in own.items() if name != "metadata"
        }
        assert entry["metadata"]["owner"] == "the audio team"
        assert entry["kind"] == "vcs"
        await registered(hermes, "llm", lambda _: True)
        await registered(hermes, "curl", lambda _: True)
        await hermes.hermes_db.delete("/hermes_db/clis/llm")  # here, and not to be used
        put("curl", "echo 8.2.0-new")
        await scan(hermes)
        await registered(hermes, "curl", lambda entry: entry["version"] == "8.2.0")
        assert (await hermes.hermes_db.get("/hermes_db/clis/llm")).json()["is_active"] is False
        assert (await hermes.hermes_db.get("/hermes_db/clis/hg")).json()["is_active"] is True


async def test_tools_are_looked_for_by_themselves_at_the_start_and_later(hermes_at, put) -> None:
    put("git")
    async with hermes_at(hermes_cli_scan_interval=0.2) as hermes:
        await registered(hermes, "git", lambda entry: entry["version"] == "1.2.3")
        put("curl")
        await registered(hermes, "curl", lambda entry: entry["version"] == "1.2.3")


async def test_a_registry_that_is_down_costs_no_answer(hermes_at, put) -> None:
    put("git")
    nowhere = {"hermes_db": "http://127.0.0.1:1", "switch": "http://127.0.0.1:1"}
    async with hermes_at(service_urls=nowhere) as hermes:
        await scan(hermes)
        assert (await settled(hermes))["git"]["version"] == "1.2.3"
        await scan(hermes)
        assert (await settled(hermes))["git"]["version"] == "1.2.3"


def is_alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and was not fetched yet does not."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def is_there(path: Path) -> bool:
    return path.exists()


async def _version_of(hermes: Hermes, name: str) -> str | None:
    items = (await hermes.http.get("/hermes/clis")).json()["items"]
    version: str | None = next(one["version"] for one in items if one["name"] == name)
    return version


async def _is_there(path: Path) -> bool | None:
    return is_there(path) or None


async def _is_told(told: list[str], times: int) -> bool | None:
    return True if len(told) >= times else None
