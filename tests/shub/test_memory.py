"""Memory stays flat: a long file costs no more than a short one. Measured in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

TOLD = """
import json, sys
from pathlib import Path
def told(**more):
    status = Path("/proc/self/status").read_text()
    peak_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({**more, "peak_mib": int(peak_kib) / 1024}))
"""
MIXING = """
from shub.dsp.analysis import analyze
from shub.dsp.mixdown import Bus, MixOrder, Send, Stem, mix_down
work = Path(sys.argv[1])
for source in sys.argv[2:]:
    source = Path(source)
    found = analyze(source, lambda part: None)
    bell = {"type": "eq_peak", "freq_hz": 900.0, "gain_db": 3.0, "q": 1.0}
    sent = Stem(source, -20.0, chain=(bell,), sends=(Send("space"),))
    buses = (Bus("space", chain=(bell,)),)
    order = MixOrder((sent, Stem(source, -23.0, pan=0.3)), -30.0, -1.0, "flac", 16, buses=buses)
    made = mix_down(order, work / "out", work / "scratch", lambda part: None)
    told(seconds=found.duration_seconds, frames=made.frames)
"""
LOOKING = """
from shub.dsp.analysis import analyze
from shub.dsp.findings import findings_of
from shub.dsp.pictures.drawing import draw
work = Path(sys.argv[1])
aim = {"name": "CD", "target_lufs": None, "tolerance_lu": 0.0, "ceiling_dbtp": -0.1}
for source in sys.argv[2:]:
    found = findings_of(analyze(Path(source), lambda part: None, with_series=True, with_details=True))
    for kind in ("waveform", "spectrogram", "loudness"):
        draw(kind, Path(source), "noise", aim, work / kind, 1200, 400)
    told(seconds=found["duration_seconds"])
"""
MASTERING = """
from shub.dsp.decode import Limits
from shub.master_task import run
work, reference = Path(sys.argv[1]), sys.argv[2]
asked = {"asset_id": "a", "reference_asset_id": "b", "match": 1.0, "chain": [], "name": "x", "preview": None}
form = {"format": "flac", "bit_depth": 16, "dither": "auto", "sample_rate_hz": None, "bitrate_kbps": None}
aim = {"aim_lufs": -9.0, "aim_dbtp": -1.0, "follows_reference": False, "dry_run": False}
for source in sys.argv[2:]:
    files = {"files": {"a": source, "b": reference}, "scratch": str(work / "scratch"), "target": str(work / "out")}
    made = run(files | asked | form | aim, lambda part: None, Limits())
    told(seconds=made["files"][0]["duration_seconds"], reduction=made["limiter_reduction_db"])
"""


def peaks_of(work: Path, script: str, *sources: Path) -> list[dict[str, float]]:
    """What the script found of each file, one after the other in one process, and the most memory it had had by then."""
    run = subprocess.run(
        [sys.executable, "-c", TOLD + script, str(work), *map(str, sources)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    return [json.loads(line) for line in run.stdout.splitlines()]


def written(folder: Path, seconds: int) -> Path:
    """So much noise."""
    ten_seconds = np.random.default_rng(0).normal(0, 3000, (44_100 * 10, 2)).astype(np.int16)
    with soundfile.SoundFile(folder / str(seconds), "w", 44_100, 2, "PCM_16", format="WAV") as file:
        for _ in range(seconds // 10):
            file.write(ten_seconds)
    return folder / str(seconds)


def test_everything_that_is_found_and_drawn_costs_no_more_memory_for_longer_sound(tmp_path):
    short, long = peaks_of(tmp_path, LOOKING, written(tmp_path, 20), written(tmp_path, 70))
    assert long["seconds"] == 70.0
    assert long["peak_mib"] < short["peak_mib"] + 12  # 50 s more in float32 would be 17 MiB
    assert long["peak_mib"] < 320


def test_a_minute_costs_no_more_memory_than_ten_seconds(tmp_path):
    short, long = peaks_of(tmp_path, MIXING, written(tmp_path, 10), written(tmp_path, 60))
    assert long["seconds"] == 60.0
    assert long["frames"] == 6 * short["frames"]
    assert long["peak_mib"] < short["peak_mib"] + 8  # each stem would be 17 MiB more as float32
    assert long["peak_mib"] < 280


def test_a_longer_master_costs_no_more_memory(tmp_path):
    short, long = peaks_of(tmp_path, MASTERING, written(tmp_path, 20), written(tmp_path, 50))
    assert long["seconds"] == 50.0
    assert long["reduction"] > 0.5  # every pass was needed
    assert long["peak_mib"] < short["peak_mib"] + 8  # 30 s more in float32 would be 10 MiB
    assert long["peak_mib"] < 320
