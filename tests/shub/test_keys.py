"""Files that side-chains listen to."""

import tracemalloc

import numpy as np

from shub.dsp.keys import FileKey
from tests.shub.signals import write

RATE = 8_000


def test_what_comes_before_the_start_is_passed_over_without_being_kept(tmp_path):
    samples = np.arange(400 * RATE, dtype=np.float32) / (400 * RATE)
    path = write(tmp_path / "key.wav", samples, RATE, "FLOAT")
    with FileKey(path, start_seconds=390.0) as key:
        tracemalloc.start()
        first = key.take(100, RATE)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        rest = key.take(10 * RATE, RATE)
    assert np.array_equal(first[:, 0], samples[390 * RATE : 390 * RATE + 100])
    assert most < samples.nbytes / 4
    assert np.array_equal(rest[:, 0], np.append(samples[390 * RATE + 100 :], np.zeros(100, np.float32)))
