"""Memory stays flat: a long file costs no more than a short one. Measured in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

SCRIPT = """
import json, sys
from pathlib import Path
from shub.dsp.analysis import analyze
from shub.dsp.mixdown import Bus, MixOrder, Send, Stem, mix_down
source, work = Path(sys.argv[1]), Path(sys.argv[2])
found = analyze(source, lambda part: None)
bell = {"type": "eq_peak", "freq_hz": 900.0, "gain_db": 3.0, "q": 1.0}
sent = Stem(source, -20.0, chain=(bell,), sends=(Send("space"),))
order = MixOrder((sent, Stem(source, -23.0, pan=0.3)), -30.0, -1.0, "flac", 16, buses=(Bus("space", chain=(bell,)),))
made = mix_down(order, work / "out", work / "scratch", lambda part: None)
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": found.duration_seconds, "frames": made.frames, "peak_mib": int(peak_kib) / 1024}))
"""


LOOKING = """
import json, sys
from pathlib import Path
from shub.dsp.analysis import analyze
from shub.dsp.findings import findings_of
from shub.dsp.pictures.drawing import draw
source, work = Path(sys.argv[1]), Path(sys.argv[2])
found = findings_of(analyze(source, lambda part: None, with_series=True, with_details=True))
aim = {"name": "CD", "target_lufs": None, "tolerance_lu": 0.0, "ceiling_dbtp": -0.1}
for kind in ("waveform", "spectrogram", "loudness"):
    draw(kind, source, "noise", aim, work / kind, 1200, 400)
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": found["duration_seconds"], "peak_mib": int(peak_kib) / 1024}))
"""


MASTERING = """
import json, sys
from pathlib import Path
from shub.dsp.decode import Limits
from shub.master_task import run
source, work = sys.argv[1], Path(sys.argv[2])
where = {"files": {"a": source, "b": str(work / "1")}, "scratch": str(work / "scratch"), "target": str(work / "out")}
asked = {"asset_id": "a", "reference_asset_id": "b", "match": 1.0, "chain": [], "name": "x", "preview": None}
form = {"format": "flac", "bit_depth": 16, "dither": "auto", "sample_rate_hz": None, "bitrate_kbps": None}
aim = {"aim_lufs": -9.0, "aim_dbtp": -1.0, "follows_reference": False, "dry_run": False}
made = run(where | asked | form | aim, lambda part: None, Limits())
peak_kib = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
seconds = made["files"][0]["duration_seconds"]
print(json.dumps({"seconds": seconds, "reduction": made["limiter_reduction_db"], "peak_mib": int(peak_kib) / 1024}))
"""


def peak_of(source: Path, work: Path, script: str = SCRIPT) -> dict[str, float]:
    run = subprocess.run(
        [sys.executable, "-c", script, str(source), str(work)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    found: dict[str, float] = json.loads(run.stdout)
    return found


def written(folder: Path, name: str, repeats: int) -> Path:
    """So many times half a minute of noise."""
    half_a_minute = np.random.default_rng(0).normal(0, 3000, (44_100 * 30, 2)).astype(np.int16)
    with soundfile.SoundFile(folder / name, "w", 44_100, 2, "PCM_16", format="WAV") as file:
        for _ in range(repeats):
            file.write(half_a_minute)
    return folder / name


def test_everything_that_is_found_and_drawn_costs_no_more_memory_for_longer_sound(tmp_path):
    short, long = (peak_of(written(tmp_path, str(n), n), tmp_path, LOOKING) for n in (1, 3))
    assert long["seconds"] == 90.0
    assert long["peak_mib"] < short["peak_mib"] + 12  # an hour in float32 would be 1.2 GiB
    assert long["peak_mib"] < 320


def test_two_minutes_cost_no_more_memory_than_half_a_minute(tmp_path):
    written(tmp_path, "short", 1), written(tmp_path, "long", 4)
    short, long = peak_of(tmp_path / "short", tmp_path), peak_of(tmp_path / "long", tmp_path)
    assert long["seconds"] == 120.0
    assert long["frames"] == 4 * short["frames"]
    # each stem would be 40 MiB as float32
    assert long["peak_mib"] < short["peak_mib"] + 15
    assert long["peak_mib"] < 280


def test_a_longer_master_costs_no_more_memory(tmp_path):
    short, long = (peak_of(written(tmp_path, str(n), n), tmp_path, MASTERING) for n in (1, 2))
    assert long["seconds"] == 60.0
    assert long["reduction"] > 0.5  # every pass was needed
    assert long["peak_mib"] < short["peak_mib"] + 8  # an hour in float32 would be 1.2 GiB
    assert long["peak_mib"] < 320
