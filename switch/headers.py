"""What headers can hold (RFC 9110, 5.5): names of models come from many, and none of them may begin a header of its own."""

from functools import lru_cache
from urllib.parse import quote

PLAIN = " !#$&'()*+,/:;=?@[]|"  # left as they are where something else has to be written in percent signs


@lru_cache(maxsize=4096)  # the same few, with every answer
def header_value(text: str) -> bytes:
    """The text where it is visible ASCII, else with the rest of it percent-encoded as UTF-8."""
    if text.isascii() and text.isprintable():
        return text.encode()
    return quote(text, safe=PLAIN, errors="replace").encode()
