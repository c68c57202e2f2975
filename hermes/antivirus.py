"""clamd reads a file before its model is registered.

Source of the protocol: clamd(8), INSTREAM: pieces with their length in front (4 bytes, big-endian), an empty one at the end.
"""

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

from hermes.errors import ScannerProblem, VirusFound

PIECE_BYTES = 256 * 1024
PATIENCE_SECONDS = 600.0  # clamd unpacks and reads for a long time after the last byte
LONGEST_ANSWER = 4096


class Antivirus:
    """Asks clamd on its socket. Blocks: for a thread. `stop` ends the waiting."""

    def __init__(self, address: Path) -> None:
        self._address = address
        self._open: socket.socket | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        if self._open is not None:
            with suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)

    def require_clean(self, path: Path, name: str) -> None:
        """Raises VirusFound, and ScannerProblem when clamd cannot say: without its word nothing is kept."""
        told = self._ask(path, name)
        if told.endswith(" FOUND"):
            virus = told.removeprefix("stream: ").removesuffix(" FOUND")
            raise VirusFound(f"the antivirus found {virus} in {name}; all of the download was removed")
        if told != "stream: OK":
            hint = "; StreamMaxLength in clamd.conf says how large a file may be" if "size limit" in told else ""
            raise ScannerProblem(f"the antivirus did not read {name}: {told or 'it gave no answer'}{hint}")

    def _ask(self, path: Path, name: str) -> str:
        try:
            with socket.socket(socket.AF_UNIX) as line, path.open("rb", buffering=0) as file:
                line.settimeout(PATIENCE_SECONDS)
                line.connect(str(self._address))
                self._open = line
                with suppress(BrokenPipeError, ConnectionResetError):  # it refuses before the end; it says why
                    line.sendall(b"zINSTREAM\0")
                    while (piece := file.read(PIECE_BYTES)) and not self._stopped.is_set():
                        line.sendall(struct.pack(">I", len(piece)))
                        line.sendall(piece)
                    line.sendall(struct.pack(">I", 0))
                return _answer(line)
        except OSError as exc:
            raise ScannerProblem(
                f"the antivirus at {self._address} cannot be asked about {name} ({exc.strerror or exc}): "
                "start clamd, or unset VX11_HERMES_CLAMD_SOCKET"
            ) from exc
        finally:
            self._open = None


def _answer(line: socket.socket) -> str:
    told = b""
    while len(told) < LONGEST_ANSWER and not told.endswith(b"\0") and (piece := line.recv(LONGEST_ANSWER)):
        told += piece
    return told.rstrip(b"\0\n").decode(errors="replace")
