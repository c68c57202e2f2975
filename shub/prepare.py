"""`python -m shub.prepare`: compile the sample loops where the fleet will look for them, once for every version of them.

The fleet does the same in the background when it starts; done before, the first job of a new installation need not wait for it.
"""

import os
import sys
import time

from shub.dsp.kernel_cache import cache_dir, is_complete
from shub.settings import ShubSettings


def main() -> None:
    """Nothing to do is nothing said."""
    settings = ShubSettings()
    cache = settings.shub_cache_dir or settings.state_dir / "cache" / "numba"
    if is_complete(cache_dir(cache)):
        return
    sys.stderr.write("compiling the sample loops of the audio engineer, once for this version\n")
    began = time.monotonic()
    cache.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    from shub.dsp.warming import warm  # reads the environment when it is imported

    warm()
    sys.stderr.write(f"compiled in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    main()
