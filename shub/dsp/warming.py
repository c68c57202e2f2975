"""Compile everything before it is needed."""

import fcntl
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from shub.dsp.analysis import analyze
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build
from shub.dsp.kernel_cache import cache_dir, is_complete, mark_complete
from shub.dsp.mixdown import MixOrder, Stem, mix_down
from shub.dsp.pictures.waveform import draw_waveform


def warm() -> bool:
    """Run every sample loop once on a little sound, so that its machine code is in the cache; returns whether that was news.

    Whoever else does that for the same folder is waited for. Caches of other versions are removed.
    """
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go when the file is closed, or the process dies
        if is_complete(folder):
            return False
        _compile()
        mark_complete(folder)
    for other in folder.parent.glob("shub-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    return True


def _compile() -> None:
    with tempfile.TemporaryDirectory() as made:
        work = Path(made)
        stems = []
        for channels in (1, 2):
            noise = np.random.default_rng(0).uniform(-1, 1, (24_000, channels)).astype(np.float32)
            soundfile.write(work / f"{channels}", noise, 48_000, subtype="PCM_16", format="WAV")
            stems.append(Stem(work / f"{channels}", -20.0))
        analyze(stems[1].path, lambda _part: None, with_details=True)
        draw_waveform(stems[1].path, "", work / "picture", 320, 200)  # the drawing library writes its list of fonts
        mix_down(MixOrder(tuple(stems), -10.0, -1.0, "wav", 16), work / "mix", work / "sum", lambda _part: None)
    _run_effects()


def _run_effects() -> None:
    """One effect for every sample loop; where several share one (the expander that of the compressor), one of them."""
    times = {"attack_ms": 1.0, "release_ms": 50.0}
    compressor = {"threshold_db": -30.0, "ratio": 4.0, "knee_db": 6.0, "makeup_db": 0.0, "detector": "rms", "mix": 1.0}
    gate = {"threshold_db": -30.0, "range_db": 40.0, "hold_ms": 10.0, "hysteresis_db": 4.0}
    unheard = {"lookahead_ms": 0.0, "sidechain": None}
    filters, room = {"highpass_hz": 100.0, "lowpass_hz": None}, {"damping_hz": 6_000.0, "lowcut_hz": 150.0}
    line = build(
        Sound(48_000, ("L", "R")),
        [
            {"type": "compressor", "sidechain_highpass_hz": None, **compressor, **times, **unheard},
            {"type": "gate", **gate, **times, **unheard},
            {"type": "deesser", "freq_hz": 6_000.0, "threshold_db": -30.0, "max_reduction_db": 6.0, **times},
            {"type": "transient", "attack_db": 3.0, "sustain_db": 3.0},
            {"type": "highpass", "freq_hz": 80.0, "slope_db_oct": 12},
            {"type": "saturation", "kind": "tape", "drive_db": 6.0, "mix": 1.0},
            {"type": "delay", "time_ms": 5.0, "feedback": 0.1, "wet": 0.2, "ping_pong": False, **filters},
            {"type": "reverb", "kind": "room", "decay_s": 0.1, "predelay_ms": 0.0, "wet": 0.2, **room},
            {"type": "pan", "pan": 0.5},
            {"type": "limiter", "ceiling_dbtp": -6.0, "drive_db": 6.0, "release_ms": 50.0, "lookahead_ms": 1.0},
            {"type": "fade", "in_seconds": 0.001, "out_seconds": 0.001, "curve": "linear"},
        ],
    )
    line.process(np.random.default_rng(0).uniform(-1, 1, (1_000, 2)).astype(np.float32))
    line.flush()
