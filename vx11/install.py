"""Makes the environment that everything runs in: `python -m vx11.install`, run by `make` with any Python; needs nothing but itself.

`.venv` gets exactly what `requirements.lock` names, every file checked against its hash, and the project itself. uv does that in
seconds; it comes by its own small lock, and where it cannot be had, pip does the same work. A stamp in `.venv` tells that it is done.
"""

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "vx11-stamp"
OLDEST, TOO_NEW = (3, 11), (3, 14)
CHECKED = ["--require-hashes", "--no-deps"]
WORKS = [str(PYTHON), "-c", "import fastapi, numpy, soundfile, uvloop, vx11"]
"""Whether what was installed is whole, native libraries included."""
EDITABLE = ["--no-build-isolation", "--no-deps", "-e", str(ROOT)]


def main(arguments: list[str]) -> int:
    """Make the environment unless it is up to date; with `--check` only tell, by the exit status, whether it is."""
    if is_current():
        return 0
    if arguments == ["--check"]:
        return 1
    if not OLDEST <= sys.version_info[:2] < TOO_NEW:
        sys.stderr.write("VX11 needs Python 3.11, 3.12 or 3.13; this is %d.%d\n" % sys.version_info[:2])  # noqa: UP031
        return 1
    try:
        make()
    except subprocess.CalledProcessError as exc:
        sys.stderr.write(
            f"making the environment failed: {' '.join(map(str, exc.cmd[:6]))} … ended with {exc.returncode}\n"
        )
        return 1
    return 0


def is_current() -> bool:
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted()


def wanted() -> str:
    """What the environment is made from, as one hash: the locks, what the project declares, and where it lies."""
    digest = hashlib.sha256(str(ROOT).encode())
    for name in ("requirements.lock", "requirements-uv.lock", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def make() -> None:
    """Build `.venv`. Raises CalledProcessError when a step fails."""
    STAMP.unlink(missing_ok=True)
    if not _answers([str(PYTHON), "-c", ""]):
        print("making .venv", flush=True)
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        _run([sys.executable, "-m", "venv", "--without-pip", str(ENVIRONMENT)])
    pip = pip_command()
    print("installing the locked dependencies", flush=True)
    if not _with_uv(pip):
        print("uv cannot be used; pip does it, which takes longer", flush=True)
        _with_pip(pip)
    STAMP.write_text(wanted())


def pip_command() -> list[str]:
    """A pip that installs into the environment: the one of the Python that runs us, which saves seconds, or one of its own."""
    of_others, its_own = [sys.executable, "-m", "pip", "--python", str(PYTHON)], [str(PYTHON), "-m", "pip"]
    for pip in (of_others, its_own):
        if _answers([*pip, "--version"]):
            return pip
    try:
        _run([str(PYTHON), "-m", "ensurepip", "--default-pip"])
    except subprocess.CalledProcessError:
        sys.stderr.write("this Python comes without pip; on Debian and Ubuntu: apt install python3-venv\n")
        raise
    return its_own


def _with_uv(pip: list[str]) -> bool:
    """First from the main index alone: uv takes a version from the first index that has it, and an extra one may hold only some of its
    files (such as a soundfile without its library). Then, for boxes that know packages only by their extra indexes, from all."""
    if not _answers([*pip, "install", "-q", *CHECKED, "-r", str(ROOT / "requirements-uv.lock")]):
        return False
    known = pip_configuration(pip)
    ways = [{name: value for name, value in known.items() if name != "extra-index-url"}]
    ways += [known] if "extra-index-url" in known else []
    for number, way in enumerate(ways):
        options, variables = uv_options(way)
        install = [str(ENVIRONMENT / "bin" / "uv"), "pip", "install", "-q", "--python", str(PYTHON), *options]
        again = ["--reinstall"] if number else []
        lock = [*install, *again, *CHECKED, "-r", str(ROOT / "requirements.lock")]
        if _answers(lock, variables) and _answers([*install, *EDITABLE], variables) and _answers(WORKS):
            return True
    return False


def _with_pip(pip: list[str]) -> None:
    install = [*pip, "install", "-q", "--no-compile", "--force-reinstall"]
    _run([*install, *CHECKED, "-r", str(ROOT / "requirements.lock")])
    _run([*install, *EDITABLE])


def pip_configuration(pip: list[str]) -> dict[str, str]:
    """What pip is told by its files and variables, by option name. uv does not read it, and a box may know packages only by it."""
    told = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout.splitlines()
    found: dict[str, str] = {}
    for line in sorted(told, key=lambda line: (line.startswith(":env:"), line.startswith("install."))):
        name, _, value = line.partition("=")
        if value:
            found[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return found


def uv_options(pip: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """The same for uv: options and environment variables.

    Extra indexes are left out: of a version that two of them have, uv sees the files of one alone, and took a wheel without its native
    library where pip takes the right one. Where the main index is not enough uv fails, and pip does the work.
    """
    options: list[str] = []
    if "index-url" in pip:
        options += ["--index-url", pip["index-url"]]
    for host in pip.get("trusted-host", "").split():
        options += ["--allow-insecure-host", host]
    if pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        options.append("--no-index")
    variables = {"SSL_CERT_FILE": pip["cert"]} if "cert" in pip and "SSL_CERT_FILE" not in os.environ else {}
    return options, variables


def _answers(command: list[str], variables: dict[str, str] | None = None) -> bool:
    """Whether the command exists and succeeds."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            cwd=ROOT,
            env={**os.environ, **(variables or {})},
        )
    except OSError:
        return False
    return done.returncode == 0


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
