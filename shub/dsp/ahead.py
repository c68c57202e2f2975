"""Two things at once: the next block is made while this one is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from shub.dsp.decode import Block


def ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """The same blocks, each made in a thread while the one before it is used. They must not share memory."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = thread.submit(next, blocks, None)
            yield block
