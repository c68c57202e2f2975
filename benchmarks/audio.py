"""How fast shub measures and normalizes, next to others on the same file in the same run.

`python benchmarks/audio.py [--seconds 180] [--rounds 5]`: three minutes of stereo at 44.1 kHz and 24 bit, made here. Against the ffmpeg
command line where it is installed (`ebur128=peak=true`; two-pass `loudnorm`), and always against libebur128 and pyloudnorm, which hold
the whole file in memory. Everybody takes turns. Ours run in this process, as in a worker that is ready; ffmpeg's time includes its own
start, about 0.05 s. A ratio above 1 means that ours is so many times as fast.

`chain` is that of a voice: four bells, a compressor, a limiter; ours holds the true peak, ffmpeg's `alimiter` the samples. `mix` has eight
stereo stems, each with four bells, a compressor and a send to one reverb, in both graphs; ours also brings every stem to its level before
and after its chain, has a room of eight delay lines with filters where ffmpeg has the four taps of `aecho`, and brings the sum to -14 LUFS
under -1 dBTP where ffmpeg only limits it.
"""

import argparse
import json
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyebur128
import pyloudnorm
import soundfile

from shub.dsp.analysis import analyze
from shub.dsp.mixdown import Bus, MixOrder, Send, Stem, mix_down
from shub.dsp.rendering import Output, Rendering, render
from shub.dsp.warming import warm

RATE = 44_100
TARGET_LUFS, CEILING_DBTP = -14.0, -1.0
LIMITS = {
    ("measure", "ffmpeg"): 1.0,
    ("normalize", "ffmpeg"): 3.0,
    ("chain", "ffmpeg"): 1.0,
    ("mix", "ffmpeg"): 1.5,
}
BELLS = ((110.0, 2.0, 0.9), (350.0, -3.0, 1.2), (2_500.0, 2.5, 0.9), (9_000.0, 2.0, 0.7))
"""Hz, dB, Q."""
COMPRESSOR = {"threshold_db": -22.0, "ratio": 3.0, "attack_ms": 10.0, "release_ms": 120.0, "knee_db": 6.0}
STEMS = 8

Contender = Callable[[], str]
"""Does the work once, and says what came out."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["measure", "normalize", "chain", "mix"])
    asked = parser.parse_args()
    warm()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="vx11-bench-") as folder:
        work = Path(folder)
        source = programme(work / "programme.wav", asked.seconds)
        tasks: dict[str, Callable[[], dict[str, Contender]]] = {
            "measure": lambda: measuring(source),
            "normalize": lambda: normalizing(source, work),
            "chain": lambda: chaining(source, work),
            "mix": lambda: mixing(work, asked.seconds),
        }
        for task, contenders in ((task, made()) for task, made in tasks.items() if asked.only in (None, task)):
            times: dict[str, list[float]] = {name: [] for name in contenders}
            efforts: dict[str, list[float]] = {name: [] for name in contenders}
            said: dict[str, str] = {}
            for _ in range(asked.rounds):
                for name, run in contenders.items():
                    began, worked = time.perf_counter(), processor_seconds()
                    said[name] = run()
                    times[name].append(time.perf_counter() - began)
                    efforts[name].append(processor_seconds() - worked)
            ours = statistics.median(times["shub"])
            print(f"{task}: {asked.seconds:.0f} s of stereo, median of {asked.rounds}")
            for name, taken in times.items():
                middle = statistics.median(taken)
                limit = LIMITS.get((task, name))
                verdict = "" if limit is None else f"  limit {limit:.1f}"
                missed += limit is not None and middle / ours < limit
                effort = statistics.median(efforts[name])
                took = f"{middle:7.3f} s ({effort:.3f} s of processors)"
                print(f"  {name:12} {took}  ours is {middle / ours:5.2f}x as fast{verdict}   {said[name]}")
    if shutil.which("ffmpeg") is None:
        print("ffmpeg is not installed here: compared with the libraries only")
    return 1 if missed else 0


def processor_seconds() -> float:
    """Used by this process and by those that it started and that have ended: on a busy machine it says more than the clock."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def programme(path: Path, seconds: float, seed: int = 7) -> Path:
    """Something like music: chords, a beat, a voice-like tone whose level wanders; -20 LUFS or so, with room for peaks."""
    random = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_24", format="WAV") as file:
        for start in range(0, round(seconds * RATE), RATE):
            time_ = (start + np.arange(RATE)) / RATE
            chord = sum(np.sin(2 * np.pi * hz * time_) for hz in (110.0, 164.8, 220.0, 277.2)) * 0.04
            beat = random.standard_normal((RATE, 2)) * np.exp(-(time_ % 0.5) * 30)[:, None] * 0.35
            voice = np.sin(2 * np.pi * 440 * time_) * (0.05 + 0.05 * np.sin(2 * np.pi * time_ / 17))
            file.write(np.clip((chord + voice)[:, None] + beat, -1.0, 1.0))
    return path


def measuring(source: Path) -> dict[str, Contender]:
    def shub() -> str:
        found = analyze(source, lambda _part: None).loudness
        return f"I {found.integrated_lufs:.2f} LRA {found.loudness_range_lu:.2f} TP {found.true_peak_dbtp:.2f}"

    def libebur128() -> str:
        mode = pyebur128.MeasurementMode
        samples, rate = soundfile.read(source, dtype="float32")
        state = pyebur128.R128State(2, rate, mode.MODE_I | mode.MODE_LRA | mode.MODE_TRUE_PEAK)
        state.add_frames(samples.ravel(), len(samples))
        peak = 20 * np.log10(max(pyebur128.get_true_peak(state, channel) for channel in (0, 1)))
        loudness, range_ = pyebur128.get_loudness_global(state), pyebur128.get_loudness_range(state)
        return f"I {loudness:.2f} LRA {range_:.2f} TP {peak:.2f}"

    def pyloudnorm_() -> str:
        samples, rate = soundfile.read(source)
        return f"I {pyloudnorm.Meter(rate).integrated_loudness(samples):.2f} (no range, no true peak)"

    def ffmpeg() -> str:
        said = run_ffmpeg("-i", str(source), "-af", "ebur128=peak=true:framelog=verbose", "-f", "null", "-")
        found = [re.findall(rf"{name}:\s+(-?[\d.]+)", said)[-1] for name in ("I", "LRA", "Peak")]
        return f"I {found[0]} LRA {found[1]} TP {found[2]}"

    return with_ffmpeg({"shub": shub, "libebur128": libebur128, "pyloudnorm": pyloudnorm_}, ffmpeg)


def normalizing(source: Path, work: Path) -> dict[str, Contender]:
    order = MixOrder((Stem(source, TARGET_LUFS),), TARGET_LUFS, CEILING_DBTP, "wav", 24)

    def shub() -> str:
        found = mix_down(order, work / "ours.wav", work / "sum", lambda _part: None).levelled.loudness
        return f"I {found.integrated_lufs:.2f} TP {found.true_peak_dbtp:.2f}"

    def pyloudnorm_() -> str:
        samples, rate = soundfile.read(source)
        loudness = pyloudnorm.Meter(rate).integrated_loudness(samples)
        made = samples * 10 ** ((TARGET_LUFS - loudness) / 20)
        soundfile.write(work / "pyloudnorm.wav", made, rate, "PCM_24")
        return f"I {TARGET_LUFS:.2f}, peaks at {20 * np.log10(np.abs(made).max()):.2f} dBFS (no limiter)"

    def ffmpeg() -> str:
        target = f"I={TARGET_LUFS}:TP={CEILING_DBTP}:LRA=11"
        first = run_ffmpeg("-i", str(source), "-af", f"loudnorm={target}:print_format=json", "-f", "null", "-")
        found = json.loads(first[first.rindex("{") : first.rindex("}") + 1])
        measured = ":".join(f"measured_{name}={found[f'input_{key}']}" for name, key in MEASURED.items())
        second = f"loudnorm={target}:{measured}:offset={found['target_offset']}:linear=true:print_format=json"
        options = ("-ar", str(RATE), "-c:a", "pcm_s24le", "-y", str(work / "ffmpeg.wav"))
        last = run_ffmpeg("-i", str(source), "-af", second, *options)
        made = json.loads(last[last.rindex("{") : last.rindex("}") + 1])
        return f"I {made['output_i']} TP {made['output_tp']} ({made['normalization_type']})"

    return with_ffmpeg({"shub": shub, "pyloudnorm": pyloudnorm_}, ffmpeg)


def chaining(source: Path, work: Path) -> dict[str, Contender]:
    limiter = {
        "type": "limiter",
        "ceiling_dbtp": CEILING_DBTP,
        "drive_db": 6.0,
        "release_ms": 80.0,
        "lookahead_ms": 5.0,
    }
    order = Rendering(source, (*bells(), compressor(), limiter), Output("wav", 24), {})

    def shub() -> str:
        found = render(order, work / "ours.wav", work / "scratch", lambda _part: None).loudness
        return f"I {found.integrated_lufs:.2f} TP {found.true_peak_dbtp:.2f}"

    def ffmpeg() -> str:
        limit = f"volume=6dB,alimiter=level=disabled:limit={10 ** (CEILING_DBTP / 20):.6f}:attack=5:release=80"
        filters = f"{ffmpeg_bells()},{ffmpeg_compressor()},{limit}"
        run_ffmpeg("-i", str(source), "-af", filters, "-c:a", "pcm_s24le", "-y", str(work / "ffmpeg.wav"))
        return "(not measured)"

    return with_ffmpeg({"shub": shub}, ffmpeg)


def mixing(work: Path, seconds: float) -> dict[str, Contender]:
    paths = [programme(work / f"stem {number}.wav", seconds, seed=number) for number in range(STEMS)]
    chain = (*bells(), compressor())
    room = {"type": "reverb", "kind": "room", "decay_s": 0.8, "predelay_ms": 10.0, "wet": 1.0}
    bus = Bus("room", -6.0, ({**room, "damping_hz": 6_000.0, "lowcut_hz": 150.0},))
    stems = tuple(Stem(path, -23.0, chain=chain, sends=(Send("room", -10.0),)) for path in paths)
    order = MixOrder(stems, TARGET_LUFS, CEILING_DBTP, "wav", 24, buses=(bus,))

    def shub() -> str:
        found = mix_down(order, work / "ours.wav", work / "sum", lambda _part: None).loudness
        return f"I {found.integrated_lufs:.2f} TP {found.true_peak_dbtp:.2f}"

    def ffmpeg() -> str:
        each = [
            f"[{number}:a]{ffmpeg_bells()},{ffmpeg_compressor()},asplit=2[dry{number}][send{number}]"
            for number in range(STEMS)
        ]
        sends = "".join(f"[send{number}]" for number in range(STEMS))
        dry = "".join(f"[dry{number}]" for number in range(STEMS))
        each.append(f"{sends}amix=inputs={STEMS},aecho=0.8:0.7:31|47|71|97:0.5|0.4|0.3|0.2[room]")
        each.append(f"{dry}[room]amix=inputs={STEMS + 1},alimiter=level=disabled:limit=0.89[out]")
        inputs = [option for path in paths for option in ("-i", str(path))]
        options = ("-map", "[out]", "-c:a", "pcm_s24le", "-y", str(work / "ffmpeg.wav"))
        run_ffmpeg(*inputs, "-filter_complex", ";".join(each), *options)
        return "(not measured)"

    return with_ffmpeg({"shub": shub}, ffmpeg)


def bells() -> tuple[dict[str, object], ...]:
    return tuple({"type": "eq_peak", "freq_hz": hertz, "gain_db": gain, "q": q} for hertz, gain, q in BELLS)


def compressor() -> dict[str, object]:
    more = {"makeup_db": 0.0, "lookahead_ms": 0.0, "detector": "rms", "sidechain": None, "sidechain_highpass_hz": None}
    return {"type": "compressor", **COMPRESSOR, **more, "mix": 1.0}


def ffmpeg_bells() -> str:
    return ",".join(f"equalizer=f={hertz}:t=q:w={q}:g={gain}" for hertz, gain, q in BELLS)


def ffmpeg_compressor() -> str:
    threshold = 10 ** (COMPRESSOR["threshold_db"] / 20)
    times = f"attack={COMPRESSOR['attack_ms']}:release={COMPRESSOR['release_ms']}"
    return f"acompressor=threshold={threshold:.6f}:ratio={COMPRESSOR['ratio']}:{times}:detection=rms"


MEASURED = {"I": "i", "TP": "tp", "LRA": "lra", "thresh": "thresh"}


def with_ffmpeg(contenders: dict[str, Contender], ffmpeg: Contender) -> dict[str, Contender]:
    return contenders | ({"ffmpeg": ffmpeg} if shutil.which("ffmpeg") else {})


def run_ffmpeg(*arguments: str) -> str:
    """What ffmpeg says while it works."""
    done = subprocess.run(
        ["ffmpeg", "-hide_banner", "-nostats", *arguments], capture_output=True, text=True, check=True
    )
    return done.stderr


if __name__ == "__main__":
    sys.exit(main())
