"""Audio made by the tests themselves, and shub as it really runs."""

import os
from pathlib import Path

# Compiled sample loops are kept between runs, out of the user's home; set before anything imports numba.
os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(__file__).parents[2] / ".pytest_cache" / "numba"))
