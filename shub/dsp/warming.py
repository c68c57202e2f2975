"""Compile everything before it is needed."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from shub.dsp.analysis import analyze
from shub.dsp.kernel_cache import cache_dir, is_complete, mark_complete
from shub.dsp.mixdown import MixOrder, Stem, mix_down
from shub.dsp.pictures.waveform import draw_waveform


def warm() -> bool:
    """Run every sample loop once on a little sound, so that its machine code is in the cache; returns whether that was news.

    Caches of other versions are removed.
    """
    folder = cache_dir()
    was_complete = is_complete(folder)
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
    mark_complete(folder)
    if not was_complete:
        for other in folder.parent.glob("shub-*"):
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)
    return not was_complete
