"""Compiled sample loops: where they are kept, and that the next process finds them."""

import os
import subprocess
import sys
from pathlib import Path

from shub.dsp import kernel_cache
from tests.kernels import KERNELS

ROOT = Path(__file__).parents[2]
RUN_ALL = "from shub.dsp import warming; warming._compile()"


def machine_code() -> dict[str, int]:
    """When each file of machine code was written."""
    return {path.name: path.stat().st_mtime_ns for path in kernel_cache.cache_dir(KERNELS).rglob("*.nbc")}


def test_what_was_compiled_once_is_found_by_the_next_process():
    first = machine_code()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(KERNELS)}
    subprocess.run([sys.executable, "-c", RUN_ALL], env=environment, check=True, stdout=subprocess.DEVNULL)
    assert len(first) >= 8
    assert machine_code() == first


def test_a_user_without_a_home_needs_none(monkeypatch, tmp_path):
    def no_home(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert kernel_cache.cache_dir().parent == tmp_path


def test_another_state_of_the_sources_has_another_folder(monkeypatch, tmp_path):
    before = kernel_cache.cache_dir(tmp_path)
    monkeypatch.setattr(kernel_cache, "version", lambda name: "another")
    assert kernel_cache.cache_dir(tmp_path) != before


def test_the_web_process_brings_in_no_sound_library():
    modules = "shub.main, shub.routes, config.clients.shub"
    code = f"import sys, {modules}; print([name for name in ('numpy', 'numba', 'scipy', 'soundfile', 'soxr') if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == "[]"
