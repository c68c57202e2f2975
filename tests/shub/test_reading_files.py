"""Which files are taken, judged by their bytes alone, and what is said of those that are not."""

import numpy as np
import pytest

from shub.dsp.decode import AudioReader, Limits, probe
from shub.dsp.refusals import AudioRefused, Mislabelled, NotFinite, TooLong
from shub.dsp.sniff import HEAD_BYTES, could_be_audio, refuse_false_name
from tests.shub.files import BAD, BAD_INSIDE, GOOD, RATE, good, samples_of, tone
from tests.shub.signals import write


@pytest.mark.parametrize("kind", GOOD)
def test_every_kind_is_read_whole_whatever_it_is_called(kind, tmp_path):
    path = good(kind, tmp_path / "0a1b2c")
    with AudioReader(path) as reader:
        blocks = [block.copy() for block in reader.blocks(10_000)]
        info = reader.info
    assert (info.sample_rate_hz, info.channels) == (RATE, 2)
    assert np.array_equal(np.concatenate(blocks), samples_of(path))
    assert info.duration_seconds == pytest.approx(1.0, abs=0.06)  # MP3 pads to whole frames
    assert all(len(block) == 10_000 for block in blocks[:-1])
    with path.open("rb") as file:
        assert could_be_audio(file.read(HEAD_BYTES))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_for_what_is_wrong_with_it(name, tmp_path):
    code, make = BAD[name]
    path = make(tmp_path / "0a1b2c")
    with pytest.raises(AudioRefused) as refusal:
        probe(path)
    assert refusal.value.code == code, refusal.value.detail
    assert str(path) not in refusal.value.detail


@pytest.mark.parametrize("name", BAD_INSIDE)
def test_what_only_the_samples_show_is_found_when_they_are_read(name, tmp_path):
    code, make = BAD_INSIDE[name]
    path = make(tmp_path / "0a1b2c")
    probe(path)
    with AudioReader(path) as reader, pytest.raises(AudioRefused) as refusal:
        for _ in reader.blocks():
            pass
    assert refusal.value.code == code


def test_the_place_of_a_nan_is_told(tmp_path):
    with AudioReader(BAD_INSIDE["a NaN"][1](tmp_path / "x")) as reader, pytest.raises(NotFinite, match="frame 30000"):
        list(reader.blocks(1_024))


def test_the_longest_duration_is_a_setting(tmp_path):
    path = good("vorbis", tmp_path / "x")
    assert probe(path, Limits(max_duration_seconds=1.1)).frames == RATE
    with pytest.raises(TooLong):
        probe(path, Limits(max_duration_seconds=0.9))


def test_a_wav_that_was_streamed_has_no_length_and_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "x.wav", tone(), RATE, "PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert probe(path).frames == RATE


def test_an_mp3_behind_a_picture_in_its_tag_is_found(tmp_path):
    plain = good("mp3", tmp_path / "x")
    size = 70_000
    tag = b"ID3\x04\x00\x00" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + bytes(size)
    tagged = tmp_path / "y"
    tagged.write_bytes(tag + plain.read_bytes())
    assert probe(tagged).container == "mp3"


@pytest.mark.parametrize(
    ("name", "container"), [("a.wav", "flac"), ("a.mp3", "wav"), ("A.OGG", "mp3"), ("a.m4a", "mp3"), ("a.aiff", "wav")]
)
def test_a_name_that_promises_another_format_is_refused(name, container):
    with pytest.raises(Mislabelled, match=name):
        refuse_false_name(name, container)


@pytest.mark.parametrize(
    ("name", "container"), [("a.wav", "wav"), ("A.WAVE", "wav"), ("take.2", "mp3"), ("voz", "flac"), ("a.opus", "ogg")]
)
def test_a_true_name_or_one_that_promises_nothing_passes(name, container):
    refuse_false_name(name, container)
