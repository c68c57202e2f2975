"""What runs instead of llama.cpp: takes the same order, says the same line, speaks the same protocol, and does as prompts and files say.

Beside the model's file: `<file>.load` with `fail` makes loading fail, with `wait` makes it wait until that file is gone. Every load is a
line in `loads.txt` in the folder of this script. A prompt `die` ends the process; `hold <file>` is answered once that file exists. A stream
begins as llama.cpp's do, with the role and the first word in one piece; `begin <file>` has the second word once that file exists.
Without the library's HTTP server, which takes as long to import as all the rest together.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

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
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def answer(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as asked:
        length = 0
        for line in asked:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            if line == b"\r\n":
                break
        else:
            return  # nobody asked anything
        body = json.loads(asked.read(length)) if length else {}
        if body.get("stream"):
            stream(connection, body)
            return
        data = json.dumps(answer_to(body) if length else {"status": "ok"}).encode()
        connection.sendall(HEAD % len(data) + data)


def answer_to(body: dict[str, Any]) -> dict[str, Any]:
    words = body["messages"][-1]["content"].split()
    if words[0] == "die":
        os._exit(1)
    while words[0] == "hold" and not Path(words[1]).exists():
        time.sleep(0.005)
    tools = f" with {len(body['tools'])} tools" if "tools" in body else ""
    said = {"role": "assistant", "content": f"{order['name']} says {words[-1]}{tools}"}
    return {"model": body["model"], "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}


def stream(connection: socket.socket, body: dict[str, Any]) -> None:
    words = body["messages"][-1]["content"].split()
    said = [{"role": "assistant", "content": None}, {"content": "one"}, {"content": " two"}]
    role, one, two = (
        b"data: %b\n\n" % json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() for delta in said
    )
    connection.sendall(STREAM_HEAD + role + one)
    while words[0] == "begin" and not Path(words[1]).exists():
        time.sleep(0.005)
    connection.sendall(two + b"data: [DONE]\n\n")


def serve() -> None:
    while True:
        threading.Thread(target=answer, args=server.accept()[:1], daemon=True).start()


server = socket.create_server(("127.0.0.1", 0), backlog=100)
threading.Thread(target=serve, daemon=True).start()
ready = {"address": f"http://127.0.0.1:{server.getsockname()[1]}", "pid": os.getpid()}
print(json.dumps(ready), flush=True)  # noqa: T201 - the pipe to switch
sys.stdin.read()
os._exit(0)
