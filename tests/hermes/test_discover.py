"""How a tool can be installed, asked of package indexes on real sockets that the machine's own configuration names."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes.discover.allowed import Allowed, Refused, is_public
from hermes.discover.extract import install_commands, worth_following
from hermes.discover.indexes import npm_configuration, python_indexes
from hermes.discover.wheels import commands_in
from tests.fakes.site import Site, site
from tests.hermes.conftest import Hermes, problem

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


@pytest.fixture
def index() -> Iterator[Site]:
    with site() as its:
        yield its


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine on which neither pip nor npm is configured."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("npm_config_globalconfig", str(home / "none"))
    monkeypatch.setenv("npm_config_userconfig", str(home / ".npmrc"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    return monkeypatch


def wheel(name: str, *, scripts: str = "", padding: int = 0) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "x" * padding)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Name: {name}\n")
        if scripts:
            archive.writestr(f"{name}-1.0.dist-info/entry_points.txt", f"[console_scripts]\n{scripts}\n")
    return file.getvalue()


async def discovered(hermes: Hermes, cli_name: str, **request: Any) -> dict[str, Any]:
    answer = await hermes.http.post("/hermes/cli/discover", json={"cli_name": cli_name, "wait_seconds": 60} | request)
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["kind"], job["status"]) == ("cli_discover", "DONE"), job
    result: dict[str, Any] = job["result"]
    return result


def by_command(result: dict[str, Any]) -> dict[str, float]:
    return {one["command"]: one["confidence"] for one in result["installs"]}


# --- package indexes -----------------------------------------------------------------------------------------------


async def test_a_python_package_that_declares_the_command_is_believed_and_told_in_full(hermes, index, machine) -> None:
    machine.setenv("PIP_INDEX_URL", f"http://someone:s3cret-word@{index.host}/simple/")
    index.answers["/pypi/boxer/json"] = {
        "info": {
            "name": "boxer",
            "version": "3.2.1",
            "summary": "Puts things\ninto boxes",
            "license": "A licence of many words " * 20,
            "classifiers": ["License :: OSI Approved :: MIT License"],
            "project_urls": {"Documentation": "https://boxer.example/docs", "API": "https://boxer.example/ref"},
        },
        "urls": [{"filename": "boxer-3.2.1-py3-none-any.whl", "url": "../../files/boxer.whl"}],
    }
    index.answers["/files/boxer.whl"] = wheel("boxer", scripts="boxer = boxer:main", padding=400_000)
    result = await discovered(hermes, "boxer")
    assert by_command(result) == {"pipx install boxer": 0.75, "pip install boxer": 0.7}
    assert result["version"] == "3.2.1"
    assert result["license"] == "MIT License"
    assert result["description"] == "Puts things into boxes"
    assert result["documentation_urls"] == ["https://boxer.example/docs"]
    assert result["api_urls"] == ["https://boxer.example/ref"]
    assert result["sources"] == [f"{index.url}/pypi/boxer/json"]
    assert [(one["source"], one["code"]) for one in result["warnings"]] == [("npm", "no_index")]
    assert "s3cret" not in json.dumps(result)
    assert {headers["authorization"] for _, headers in index.asked} == {"Basic c29tZW9uZTpzM2NyZXQtd29yZA=="}


async def test_an_index_without_the_json_interface_is_read_as_a_simple_one(hermes, index, machine) -> None:
    machine.setenv("PIP_INDEX_URL", f"{index.url}/root/mirror/+simple/")
    files = [
        {"filename": f"box_er-{version}-py3-none-any.whl", "url": f"{index.url}/f/{version}.whl", "core-metadata": True}
        for version in ("1.9.0", "1.10.0", "2.0rc1")
    ]
    files.append({"filename": "box_er-9.9.9-py3-none-any.whl", "url": "/x", "yanked": "broken"})
    index.answers["/root/mirror/+simple/box-er/"] = {"meta": {"api-version": "1.0"}, "name": "box-er", "files": files}
    index.answers["/f/1.10.0.whl.metadata"] = (
        "Name: box-er\nVersion: 1.10.0\nSummary: Kästen\nLicense-Expression: BSD-3-Clause\n"
        "Project-URL: Homepage, https://boxer.example/\n"
    )
    index.answers["/f/1.10.0.whl"] = wheel("box_er")
    result = await discovered(hermes, "Box.er")
    assert (result["version"], result["license"], result["description"]) == ("1.10.0", "BSD-3-Clause", "Kästen")
    assert by_command(result) == {"pip install Box.er": 0.1}  # it brings no command: a library of that name
    assert result["documentation_urls"] == ["https://boxer.example/"]
    accepted = next(headers["accept"] for path, headers in index.asked if path.endswith("/box-er/"))
    assert accepted == SIMPLE_JSON


async def test_an_npm_package_is_asked_where_npmrc_says_with_its_token(hermes, index, machine, tmp_path) -> None:
    machine.setenv("NPM_SECRET", "n3-secret")
    tmp_path.joinpath("home", ".npmrc").write_text(
        f"; ours\nregistry = {index.url}/npm/\n//{index.host}/npm/:_authToken=${{NPM_SECRET}}\n"
    )
    index.answers["/npm/boxer/latest"] = {
        "name": "boxer",
        "version": "5.0.0",
        "description": "Boxes",
        "license": "Apache-2.0",
        "homepage": "https://boxer.example",
        "bin": {"boxer": "cli.js", "unbox": "other.js"},
    }
    result = await discovered(hermes, "boxer")
    assert by_command(result) == {"npm install -g boxer": 0.75}
    assert (result["version"], result["license"]) == ("5.0.0", "Apache-2.0")
    assert index.asked[0][1]["authorization"] == "Bearer n3-secret"
    assert "n3-secret" not in json.dumps(result)


async def test_a_registry_that_only_has_whole_documents_is_read_too(hermes, index, machine) -> None:
    machine.setenv("npm_config_registry", index.url)
    index.answers["/boxer"] = {
        "dist-tags": {"latest": "2.0.0"},
        "versions": {"1.0.0": {"version": "1.0.0"}, "2.0.0": {"version": "2.0.0", "license": "ISC"}},
    }
    result = await discovered(hermes, "boxer")
    assert (result["version"], by_command(result)) == ("2.0.0", {"npm install -g boxer": 0.15})


async def test_the_package_that_a_tools_authors_publish_is_believed_over_one_that_has_its_name(
    hermes, index, machine
) -> None:
    machine.setenv("npm_config_registry", index.url)
    index.answers["/@openai%2Fcodex/latest"] = {"version": "1.0.0", "bin": "codex.js", "description": "The right one"}
    index.answers["/codex/latest"] = {"version": "0.9.0", "bin": "x.js", "description": "Another"}
    result = await discovered(hermes, "codex")
    assert by_command(result) == {"npm install -g @openai/codex": 0.95, "npm install -g codex": 0.75}
    assert (result["version"], result["description"]) == ("1.0.0", "The right one")


async def test_where_no_index_is_configured_that_is_said_and_nobody_is_asked(hermes) -> None:
    result = await discovered(hermes, "boxer")
    assert result["installs"] == result["sources"] == []
    assert {one["source"]: one["code"] for one in result["warnings"]} == {"python": "no_index", "npm": "no_index"}
    assert all("no index is configured" in one["detail"] for one in result["warnings"])


async def test_a_tool_that_no_index_knows_is_told_as_such(hermes, index, machine) -> None:
    machine.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    machine.setenv("npm_config_registry", index.url)
    result = await discovered(hermes, "no-such-tool")
    assert [one["code"] for one in result["warnings"]] == ["not_found"]
    assert result["installs"] == []


async def test_an_index_that_misbehaves_is_a_warning(hermes_at, index, machine) -> None:
    machine.setenv("npm_config_registry", index.url)
    troubles: list[tuple[Any, str]] = [
        ((401, b"who?", {}), "index_refused"),
        ((503, b"", {}), "index_unwell"),
        ((200, b"<html>not json", {}), "index_wrong"),
        ((200, b"x" * 5000, {}), "index_too_large"),
        ((200, b"[" * 3000, {}), "index_wrong"),
        ((302, b"", {"Location": "https://elsewhere.example/boxer"}), "host_not_allowed"),
        ((302, b"", {"Location": "file:///etc/passwd"}), "host_not_allowed"),
        ((302, b"", {"Location": "/boxer/latest"}), "index_wrong"),
        ((302, b"", {"Location": "http://[bad"}), "index_wrong"),
        ((200, {"versions": []}, {}), "index_wrong"),
    ]
    async with hermes_at(hermes_discover_limit_bytes=4000) as hermes:
        for answer, code in troubles:
            index.answers |= {"/boxer/latest": answer, "/boxer": answer}
            result = await discovered(hermes, "boxer")
            assert [one["code"] for one in result["warnings"]] == ["no_index", code]
            assert result["installs"] == []


async def test_a_redirect_is_followed_only_to_named_hosts_and_without_the_credentials(
    hermes_at, index, machine
) -> None:
    with site({"/moved": {"version": "1.0.0", "bin": "x"}}) as other:
        machine.setenv("npm_config_registry", f"http://user:s3cret@{index.host}")
        index.answers["/boxer/latest"] = (302, b"", {"Location": f"{other.url}/moved"})
        async with hermes_at() as hermes:
            result = await discovered(hermes, "boxer")
            assert [one["code"] for one in result["warnings"]] == ["no_index", "host_not_allowed"]
            assert other.asked == []
        async with hermes_at(hermes_discover_hosts=[other.host]) as hermes:
            assert by_command(await discovered(hermes, "boxer")) == {"npm install -g boxer": 0.75}
            assert "authorization" in index.asked[-1][1]
            assert "authorization" not in other.asked[0][1]


async def test_files_on_a_host_that_is_not_named_are_left_alone_and_the_package_is_less_sure(
    hermes, index, machine
) -> None:
    with site({"/boxer.whl": wheel("boxer", scripts="boxer = b:m")}) as other:
        machine.setenv("PIP_INDEX_URL", f"{index.url}/simple")
        index.answers["/pypi/boxer/json"] = {
            "info": {"version": "1.0"},
            "urls": [{"filename": "boxer-1.0-py3-none-any.whl", "url": f"{other.url}/boxer.whl"}],
        }
        result = await discovered(hermes, "boxer")
        assert by_command(result) == {"pipx install boxer": 0.4, "pip install boxer": 0.35}
        assert "VX11_HERMES_DISCOVER_HOSTS" in result["warnings"][-1]["detail"]
        assert other.asked == []


async def test_a_wheel_that_is_no_zip_tells_nothing_and_breaks_nothing(hermes, index, machine) -> None:
    machine.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    index.answers["/pypi/boxer/json"] = {"info": {}, "urls": [{"filename": "boxer-1.whl", "url": "/bad.whl"}]}
    index.answers["/bad.whl"] = b"PK\x05\x06" + b"\xff" * 18
    assert by_command(await discovered(hermes, "boxer"))["pipx install boxer"] == 0.4
    index.answers["/pypi/boxer/json"] = {"info": {}, "urls": [{"filename": "boxer-1.whl", "url": "http://[bad"}]}
    assert by_command(await discovered(hermes, "boxer"))["pipx install boxer"] == 0.4


async def test_a_simple_index_with_versions_that_are_none_is_read_all_the_same(hermes, index, machine) -> None:
    machine.setenv("PIP_INDEX_URL", f"{index.url}/simple")
    files = [{"filename": f"boxer-{version}.tar.gz", "url": "/x"} for version in ("1.0", "9" * 5000, "²")]
    index.answers |= {"/pypi/boxer/json": (404, b"", {}), "/simple/boxer/": {"files": files}}
    result = await discovered(hermes, "boxer")
    assert by_command(result) == {"pipx install boxer": 0.4, "pip install boxer": 0.35}


def test_entry_points_are_read_in_the_time_that_their_length_takes() -> None:
    lines = [
        "[gui_scripts]",
        "other = x:y",
        "[console_scripts]",
        "# no",
        "a" + " " * 60_000 + "b",
        "boxer = b:m",
        "[x]",
        "z=z:z",
    ]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as wheel_:
        wheel_.writestr("boxer-1.dist-info/entry_points.txt", "\n".join(lines))
    assert commands_in(archive.getvalue()) == {"boxer"}


async def test_a_discovery_is_a_job_that_a_key_makes_once(hermes, index, machine) -> None:
    machine.setenv("npm_config_registry", index.url)
    headers = {"Idempotency-Key": "discover-once"}
    body = {"cli_name": "boxer", "wait_seconds": 0}
    first = await hermes.http.post("/hermes/cli/discover", json=body, headers=headers)
    again = await hermes.http.post("/hermes/cli/discover", json=body | {"wait_seconds": 30}, headers=headers)
    assert first.status_code in (200, 202)
    assert again.status_code == 200
    assert first.json()["job_id"] == again.json()["job_id"]
    other = await hermes.http.post("/hermes/cli/discover", json=body | {"cli_name": "other"}, headers=headers)
    problem(other, 409, "idempotency_conflict")
    refused = await hermes.http.post("/hermes/cli/discover", json={"cli_name": "../../etc"})
    problem(refused, 422, "invalid_request")


# --- the machine's configuration -----------------------------------------------------------------------------------


def test_pips_files_and_variables_count_as_they_do_for_pip(tmp_path: Path) -> None:
    shared, home = tmp_path / "xdg", tmp_path / "home"
    for folder, text in (
        (shared / "pip", "[global]\nindex-url = https://shared.example/simple\n"),
        (
            home / ".config" / "pip",
            "[global]\nindex_url = https://u:p%40ss@home.example/simple\ncert = /ca.pem\n"
            "[install]\nextra-index-url =\n    https://one.example/simple\n    file:///opt/simple\n    https://two.example/s\n",
        ),
    ):
        folder.mkdir(parents=True)
        folder.joinpath("pip.conf").write_text(text)
    environment = {"HOME": str(home), "XDG_CONFIG_DIRS": str(shared)}
    found = python_indexes(environment)
    assert [one.url for one in found] == [
        "https://home.example/simple",
        "https://one.example/simple",
        "https://two.example/s",
    ]
    assert found[0].headers == {"Authorization": "Basic dTpwQHNz"}
    assert "p@ss" not in repr(found)
    assert "dTpw" not in repr(found)
    assert found[0].ca_file == "/ca.pem"
    assert python_indexes(environment | {"PIP_INDEX_URL": "https://env.example/simple"})[0].url.startswith(
        "https://env."
    )
    assert python_indexes(environment | {"PIP_NO_INDEX": "1"}) == []
    broken = tmp_path / "broken.conf"
    broken.write_bytes(b"[global\nindex-url \xff")
    assert python_indexes(environment | {"PIP_CONFIG_FILE": str(broken)})[0].url == "https://home.example/simple"
    assert python_indexes(environment | {"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_npms_scopes_have_registries_of_their_own(tmp_path: Path) -> None:
    file = tmp_path / "npmrc"
    file.write_text(
        'registry="https://all.example/r/"\n@team:registry=https://team.example\n//team.example/:_auth=YTpi\n'
    )
    npm = npm_configuration({"npm_config_userconfig": str(file), "npm_config_globalconfig": str(tmp_path / "no")})
    usual, scoped = npm.index("boxer"), npm.index("@team/boxer")
    assert usual is not None
    assert scoped is not None
    assert (usual.url, usual.headers) == ("https://all.example/r/", {})
    assert (scoped.url, scoped.headers) == ("https://team.example", {"Authorization": "Basic YTpi"})
    assert npm_configuration({"npm_config_globalconfig": "/no", "HOME": str(tmp_path / "no")}).index("boxer") is None


# --- where a discovery may go --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_private_addresses_are_known_in_every_dress(address: str, is_so: bool) -> None:
    assert is_public(address) is is_so


async def test_a_public_page_whose_name_leads_to_a_private_address_is_refused() -> None:
    allowed = Allowed.of(["http://localhost:8000/x"], [])
    with pytest.raises(Refused, match="not a public address"):
        await allowed.address("localhost", 8000)
    with pytest.raises(Refused, match="not among"):
        await allowed.address("localhost", 8001)
    named = Allowed.of([], ["localhost:8000"])
    assert await named.address("localhost", 8000) in ("127.0.0.1", "::1")
    with pytest.raises(Refused, match="not among"):
        await named.address("localhost", 8001)
    for url in ("ftp://localhost/", "file:///etc/passwd", "http://", "http://localhost:99999/", "javascript:alert(1)"):
        with pytest.raises(Refused):
            named.check_url(url)


# --- commands in text ----------------------------------------------------------------------------------------------

PAGE = "https://site.example/tools/boxer"


@pytest.mark.parametrize(
    ("text", "command", "manager", "confidence"),
    [
        ("$ brew install boxer", "brew install boxer", "brew", 0.85),
        ("sudo apt-get install -y boxer", "sudo apt-get install -y boxer", "apt", 0.85),
        ("# dnf install boxer  # Fedora", "dnf install boxer", "dnf", 0.85),
        ("pacman -S boxer", "pacman -S boxer", "pacman", 0.85),
        ("python3 -m pip install --upgrade 'boxer>=2'", "python3 -m pip install --upgrade 'boxer>=2'", "pip", 0.85),
        ("pipx install boxer", "pipx install boxer", "pipx", 0.85),
        ("uv tool install boxer@latest", "uv tool install boxer@latest", "uv", 0.85),
        ("uv pip install boxer", "uv pip install boxer", "uv", 0.85),
        ("npm i -g @team/boxer@2", "npm i -g @team/boxer@2", "npm", 0.7),
        ("cargo install --locked boxer", "cargo install --locked boxer", "cargo", 0.85),
        ("go install site.example/team/boxer/v2@latest", "go install site.example/team/boxer/v2@latest", "go", 0.7),
        ("docker run --rm -it \\\n  team/boxer:1.2", "docker run --rm -it team/boxer:1.2", "docker", 0.7),
        ("curl -fsSL https://boxer.example/i.sh | sudo bash", None, "script", 0.2),
        ('sh -c "$(curl -fsSL https://boxer.example/i.sh)"', None, "script", 0.2),
        ("pip install boxer-plugins", "pip install boxer-plugins", "pip", 0.45),
    ],
)
def test_install_commands_are_found_in_text(text: str, command: str | None, manager: str, confidence: float) -> None:
    found = list(install_commands(text, ["boxer"], PAGE))
    assert [(one.text, one.manager, round(one.confidence, 2)) for one in found] == [
        (command or text, manager, confidence)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "pip install -r requirements.txt",
        "apt install build-essential",
        "brew install soapboxer",
        "boxer install everything",
        "curl https://boxer.example/data.json",
        "pip install \x1b[31mboxer",
        "pip install boxer " + "x" * 2000,
        "we install boxer with care",
    ],
)
def test_other_text_is_no_command_for_this_tool(text: str) -> None:
    assert list(install_commands(text, ["boxer"], PAGE)) == []


def test_only_pages_of_the_same_host_that_end_with_the_name_are_followed() -> None:
    links = [
        "https://a.example/team/boxer#readme",
        "https://a.example/team/boxer",
        "https://b.example/team/boxer",
        "https://a.example/other",
        "javascript:boxer",
        "https://a.example/second/Boxer/",
        "https://a.example/third/boxer",
    ]
    found = worth_following(links, ["boxer"], "https://a.example/search?q=boxer", most=2)
    assert found == ["https://a.example/team/boxer", "https://a.example/second/Boxer/"]
