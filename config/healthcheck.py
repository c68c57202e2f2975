#!/usr/local/bin/python3 -IS
"""Whether a service of this container answers: `healthcheck PORT`, exit status 0 or 1.

Only the standard library, and of that the least: it starts every few seconds in every container.
"""

import socket
import sys

try:
    with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        sys.exit(0 if connection.recv(32).split()[1:2] == [b"200"] else 1)
except OSError as exc:
    sys.exit(str(exc))
