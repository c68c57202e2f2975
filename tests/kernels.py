"""The compiled sample loops that all tests share: compiled once a run at most, in the background, while other tests go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shub.dsp.kernel_cache import cache_dir, is_complete

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / ".pytest_cache" / "numba"
"""Kept between runs, out of the user's home."""
NEED_THEM = ("shub", "e2e", "contract")


def begin_compiling(config: pytest.Config) -> None:
    """In the one process that starts a run, where the run has tests that need them."""
    asked = [argument for argument in config.args if not argument.startswith("-")]
    is_needed = any(Path(one).name == "tests" or any(part in one for part in NEED_THEM) for one in asked)
    if is_needed and not hasattr(config, "workerinput") and not is_complete(cache_dir(KERNELS)):
        subprocess.Popen(_command(), env=_environment(), stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def kernels() -> Path:
    """Their folder, once everything is in it: who compiles it now is waited for."""
    if not is_complete(cache_dir(KERNELS)):
        subprocess.run(_command(), env=_environment(), check=True, stdout=subprocess.DEVNULL)
    return KERNELS


def _command() -> list[str]:
    return [sys.executable, "-c", "from shub.dsp.warming import warm; warm()"]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(KERNELS)}
