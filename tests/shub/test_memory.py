"""Memory stays flat: a long file costs no more than a short one. Measured in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from shub.dsp.kernel_cache import cache_dir, is_complete
from tests.shub.conftest import KERNELS

SCRIPT = """
import json, sys
from pathlib import Path
from shub.dsp.analysis import analyze
from shub.dsp.mixdown import MixOrder, Stem, mix_down
source, work = Path(sys.argv[1]), Path(sys.argv[2])
found = analyze(source, lambda part: None)
order = MixOrder((Stem(source, -20.0), Stem(source, -23.0, pan=0.3)), -30.0, -1.0, "flac", 16)
made = mix_down(order, work / "out", work / "scratch", lambda part: None)
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": found.duration_seconds, "frames": made.frames, "peak_mib": int(peak_kib) / 1024}))
"""


def peak_of(source: Path, work: Path) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(source), str(work)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def test_two_minutes_cost_no_more_memory_than_half_a_minute(tmp_path):
    half_a_minute = np.random.default_rng(0).normal(0, 3000, (44_100 * 30, 2)).astype(np.int16)
    for name, repeats in (("short", 1), ("long", 4)):
        with soundfile.SoundFile(tmp_path / name, "w", 44_100, 2, "PCM_16", format="WAV") as file:
            for _ in range(repeats):
                file.write(half_a_minute)
    if not is_complete(cache_dir(KERNELS)):
        peak_of(tmp_path / "short", tmp_path)  # the compiler, where it has to work, needs more than the sound
    short, long = peak_of(tmp_path / "short", tmp_path), peak_of(tmp_path / "long", tmp_path)
    assert long["seconds"] == 120.0
    assert long["frames"] == 4 * short["frames"]
    # each stem would be 40 MiB as float32
    assert long["peak_mib"] < short["peak_mib"] + 15
    assert long["peak_mib"] < 280
