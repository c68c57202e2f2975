"""The process that holds a local model: llama.cpp's server on a private loopback port, for switch alone.

Run by `process.py`, never by hand: one line of JSON on standard input says what to load and the key to ask for, one line on standard
output says where it listens. The end of standard input ends the process, so it cannot outlive switch; nor can it where the kernel ties it
to its parent. Imports nothing of ours: it runs with an environment and a search path of its own.

With `--try` it only finds out whether the model can be loaded and says a word, prints what memory that took, and ends; spawner runs it so
for files that nobody loaded before.
"""

import ctypes
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

PR_SET_PDEATHSIG = 1
NOT_HELD = 75
"""Exit code of a trial that could not be held, whatever the file is like (EX_TEMPFAIL of sysexits.h)."""


def main() -> None:
    if sys.argv[1] == "--try":
        try_out()
        return
    parent = int(sys.argv[1])
    die_with(parent)
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    server = load(order)
    print(json.dumps({"address": server.listening_address, "pid": os.getpid()}), flush=True)  # noqa: T201 - the pipe to switch
    sys.stdin.read()  # until switch closes it, or is no more
    os._exit(0)  # the server's threads would make a slow, orderly end of something that holds no state


def die_with(parent: int) -> None:
    """Be killed when the parent dies, however it dies; be the first to go when memory is short; leave no core of a model behind."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it died before we asked
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    Path("/proc/self/oom_score_adj").write_text("800")


def try_out() -> None:
    """Load the model and let it begin an answer; an exception ends the process with exit code 1."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    try:
        import xllamacpp  # noqa: F401 - to know whether it is there

        with open(order["path"], "rb") as file:
            file.read(4)
    except (ImportError, OSError) as exc:
        give_up(f"a trial cannot be held here: {exc}")
    try:
        socket.create_server(("127.0.0.1", 0)).close()
    except OSError as exc:  # where the network is closed to it altogether, not only its own
        give_up(f"a trial cannot be held without sockets, and llama.cpp's server wants one: {exc}")
    server = load(order | {"key": "nobody"})
    answer = server.handle_chat_completions({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1})
    if "choices" not in answer:
        sys.exit(f"it does not answer: {json.dumps(answer)[:300]}")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"it was loaded, answered, and took {peak_kib // 1024} MiB", flush=True)  # noqa: T201
    os._exit(0)


def give_up(why: str) -> NoReturn:
    print(why, file=sys.stderr)  # noqa: T201
    sys.exit(NOT_HELD)


def load(order: dict[str, Any]) -> Any:
    """Start llama.cpp's server; returns when the model is loaded."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}
    params.hostnames, params.port = (
        ["127.0.0.1"],
        0,
    )  # a fresh port each time: an old server cannot be mistaken for this one
    params.api_keys = [order["key"]]  # other users of this machine reach the port, but not the model
    params.endpoint_slots = params.endpoint_props = params.ui = False
    params.n_parallel, params.n_ctx, params.kv_unified = order["slots"], order["context_tokens"], True
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    params.n_threads_http = order["slots"] + 4
    params.sleep_idle_seconds = order["sleep_after_seconds"]
    params.cache_ram_mib = 0  # prompts of others are not kept around; the slots keep the common prefix
    params.fit_params, params.verbosity = False, -1
    params.n_predict = order["max_tokens"]
    if order["temperature"] is not None:
        params.sampling.temp, params.sampling.top_p = order["temperature"], 0.9
    if order["repeat_penalty"] is not None:
        params.sampling.penalty_repeat, params.sampling.penalty_last_n = order["repeat_penalty"], 256
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
