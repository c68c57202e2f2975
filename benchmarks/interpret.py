"""What it costs to read a command: the rules on the commands of the tests, next to a bare scan of the same text for words, alternating.

Prints milliseconds of the processor per command (others' work on the machine is not counted), and the ratio to the limit:

    .venv/bin/python benchmarks/interpret.py
"""

import json
import re
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.contracts.shub_language import CommandContext  # noqa: E402
from shub.language.answering import answer_of  # noqa: E402
from shub.language.reading import read  # noqa: E402

LIMIT_MS = 5.0
ROUNDS = 15
SCAN = re.compile(
    r"\b(?:sube|baja|quita|cut|boost|voz|vocal|bajo|bass|reverb|compresor|\d+(?:[.,]\d+)?\s*(?:db|hz|khz|ms|lufs))\b"
)


def main() -> int:
    sets = sorted((ROOT / "tests" / "shub" / "language").glob("commands_*.jsonl"))
    rows = [json.loads(line) for path in sets for line in path.read_text(encoding="utf-8").splitlines()]
    commands = [(row["command"], CommandContext.model_validate(row["context"])) for row in rows]
    started = time.process_time()
    answer_of(read("hola", CommandContext()), CommandContext())
    first_ms = (time.process_time() - started) * 1000
    new: list[float] = []
    known: list[float] = []
    scans: list[float] = []
    for number in range(ROUNDS):
        for command, context in commands:
            started = time.process_time()
            answer_of(read(command, context), context)
            (known if number else new).append((time.process_time() - started) * 1000)
            started = time.process_time()
            SCAN.findall(command.lower())
            scans.append((time.process_time() - started) * 1000)
    for name, times in (("words never seen", new), ("words seen before", known), ("a regular expression", scans)):
        slow = statistics.quantiles(times, n=100)[98]
        print(f"{name:22} median {statistics.median(times):7.3f} ms   99 of 100 below {slow:7.3f} ms")
    worst = statistics.quantiles(new, n=100)[98]
    print(f"tables, built once {first_ms:8.1f} ms")
    print(
        f"limit {LIMIT_MS:.0f} ms   ratio of the median {statistics.median(new) / LIMIT_MS:.3f}, of the slow {worst / LIMIT_MS:.2f}"
    )
    return 0 if statistics.median(new) < LIMIT_MS else 1


if __name__ == "__main__":
    sys.exit(main())
