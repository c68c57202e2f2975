"""Why a file is not taken: one class per stable code. Plain exceptions, so that the sound code needs no web framework."""

from typing import ClassVar


class AudioRefused(Exception):
    """The audio cannot be used as it is; `code` is stable, the text says what is wrong with this very file."""

    code: ClassVar[str] = "audio_refused"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(detail)


class NotAudio(AudioRefused):
    """The bytes are none of WAV, FLAC, MP3 and Ogg."""

    code = "unsupported_audio"


class Mislabelled(AudioRefused):
    """The file's name promises another format than its bytes hold."""

    code = "mislabelled_audio"


class EmptyAudio(AudioRefused):
    """There is not one sample in it."""

    code = "empty_audio"


class Truncated(AudioRefused):
    """The file ends before the audio that its own header announces."""

    code = "truncated_audio"


class Unreadable(AudioRefused):
    """The bytes start like audio and cannot be decoded."""

    code = "unreadable_audio"


class TooLong(AudioRefused):
    """It plays longer than this house takes."""

    code = "audio_too_long"


class TooManyChannels(AudioRefused):
    """More channels than the measurement standard names."""

    code = "too_many_channels"


class UnsupportedRate(AudioRefused):
    """The sample rate is outside of what is measured and mixed here."""

    code = "unsupported_sample_rate"


class NotFinite(AudioRefused):
    """A floating-point file holds NaN, infinity or numbers that are no sound, or effects make such numbers."""

    code = "not_finite_audio"


class UnknownLayout(AudioRefused):
    """The channel layout asked for does not fit the file."""

    code = "unknown_channel_layout"


class NotForThisFormat(AudioRefused):
    """The file format asked for does not hold so many channels, or not at that rate."""

    code = "not_for_this_format"


class FrequencyAboveNyquist(AudioRefused):
    """A filter's frequency lies at or above half the sample rate, where there is no sound."""

    code = "frequency_above_nyquist"


class StereoNeeded(AudioRefused):
    """An effect on left and right was asked of a sound that has not just these two."""

    code = "stereo_needed"
