"""Where a stem goes: constant power, exact at the edges, surround by the broadcast standard."""

import numpy as np
import pytest

from shub.dsp.kweighting import LAYOUTS
from shub.dsp.panning import pan_matrix


@pytest.mark.parametrize("pan", np.linspace(-1, 1, 9))
def test_a_mono_stem_has_the_same_power_everywhere(pan):
    assert (pan_matrix(("C",), float(pan)) ** 2).sum() == pytest.approx(1.0)


def test_the_edges_and_the_middle_are_exact():
    assert pan_matrix(("C",), -1.0).tolist() == [[1.0, 0.0]]
    assert pan_matrix(("C",), 1.0).tolist() == [[0.0, 1.0]]
    assert pan_matrix(("L", "R"), 0.0).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_folds_down_left_and_right_alike(layout):
    matrix = pan_matrix(LAYOUTS[layout], 0.0)
    assert matrix.shape == (len(LAYOUTS[layout]), 2)
    assert matrix.sum(axis=0)[0] == pytest.approx(matrix.sum(axis=0)[1])


def test_outside_of_its_range_is_an_error():
    with pytest.raises(ValueError, match="outside"):
        pan_matrix(("C",), 1.1)
