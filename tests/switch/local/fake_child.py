"""What runs instead of llama.cpp: takes the same order, says the same line, speaks the same protocol, and does as prompts and files say.

Beside the model's file: `<file>.load` with `fail` makes loading fail, with `wait` makes it wait until that file is gone. Every load is a
line in `loads.txt` in the folder of this script. A prompt `die` ends the process; `hold <file>` is answered once that file exists.
"""

import ctypes
import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
order = json.loads(sys.stdin.readline())
memory = b"x" * (60 * 1024 * 1024)
here = Path(sys.argv[0]).parent
with (here / "loads.txt").open("a") as log:
    log.write(f"{order['name']} {os.getpid()}\n")
told = Path(order["path"] + ".load")


def how() -> str:
    try:
        return told.read_text()
    except FileNotFoundError:  # it may go at any moment
        return ""


while (way := how()) == "wait":
    time.sleep(0.005)
if way == "fail":
    sys.exit("no room for the tensors")


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer({"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        words = body["messages"][-1]["content"].split()
        if words[0] == "die":
            os._exit(1)
        while words[0] == "hold" and not Path(words[1]).exists():
            time.sleep(0.005)
        said = {"role": "assistant", "content": f"{order['name']} says {words[-1]}"}
        self.answer({"model": body["model"], "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]})

    def answer(self, content: dict[str, object]) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(  # noqa: T201 - the pipe to switch
    json.dumps({"address": f"http://127.0.0.1:{server.server_port}", "pid": os.getpid()}), flush=True
)
sys.stdin.read()
os._exit(0)
