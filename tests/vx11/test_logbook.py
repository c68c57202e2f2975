"""What the services log stays readable, bounded, and in the order of time."""

import json
import os
import threading

from vx11.logbook import LONGEST_LINE_BYTES, Lines, LogFile, Printer, follow, last_lines, plain


def line(event: str, at: str, **fields: object) -> bytes:
    return json.dumps({"event": event, "at": at, "level": "info", "service": "madre", **fields}).encode()


def test_a_log_file_is_set_aside_at_its_cap_and_one_older_is_kept(tmp_path):
    log = LogFile(tmp_path / "madre.log", largest_bytes=1000)
    for number in range(100):
        log.write(f"line {number:03} {'x' * 40}".encode())
    log.close()
    now, before = tmp_path / "madre.log", tmp_path / "madre.log.1"
    assert now.stat().st_size <= 1000
    assert before.stat().st_size <= 1000
    assert now.read_text().splitlines()[-1].startswith("line 099")
    assert {path.name for path in tmp_path.iterdir()} == {"madre.log", "madre.log.1"}


def test_a_log_goes_on_where_the_last_run_ended(tmp_path):
    for text in (b"first", b"second"):
        log = LogFile(tmp_path / "madre.log")
        log.write(text)
        log.close()
    assert (tmp_path / "madre.log").read_text() == "first\nsecond\n"


def test_a_log_that_cannot_be_written_does_not_stop_the_service(tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    log = LogFile(tmp_path / "logs" / "madre.log")
    log.write(b"lost")
    (tmp_path / "logs").unlink()
    log.write(b"kept")
    log.close()
    assert (tmp_path / "logs" / "madre.log").read_text() == "kept\n"


def test_lines_are_put_together_from_pieces_and_cut_when_endless():
    lines = Lines()
    assert list(lines.feed(b"one\ntw")) == [b"one"]
    assert list(lines.feed(b"o\n\nthree")) == [b"two"]
    assert list(lines.end()) == [b"three"]
    [cut] = lines.feed(b"x" * (LONGEST_LINE_BYTES + 1))
    assert len(cut) == LONGEST_LINE_BYTES


def test_a_json_line_is_shown_as_a_sentence():
    printer = Printer(["gateway", "madre"], colour=False)
    shown = printer.render("madre", line("plan_made", "2030-01-01T10:20:30Z", plan_id="plan_1", steps=3))
    assert shown == "10:20:30 madre   | plan_made plan_id=plan_1 steps=3"
    assert printer.render("madre", b"Traceback: raw").endswith("madre   | Traceback: raw")
    assert "\x1b[" in Printer(["madre"], colour=True).render("madre", b"x")


def test_a_traceback_inside_a_line_keeps_its_own_lines():
    shown = Printer(["madre"], colour=False).render(
        "madre", line("unexpected", "2030-01-01T10:20:30Z", level="error", exception="Traceback\n  here")
    )
    assert [one.partition("| ")[2] for one in shown.splitlines()] == ["error: unexpected", "Traceback", "  here"]
    assert plain(line("a", "2030-01-01T10:20:30Z", exception="x\ny")) == "a / x / y"


def test_the_last_word_of_a_traceback_is_its_error():
    trace = "Traceback (most recent call last):\n  File here\nOSError: no such device\n"
    assert plain(line(trace, "2030-01-01T10:20:30Z", level="error")) == "OSError: no such device"
    assert plain(line("failed", "2030-01-01T10:20:30Z", exception=trace)) == "OSError: no such device"


def test_the_newest_lines_of_all_services_come_in_the_order_of_time(tmp_path):
    madre = [line("a", "2030-01-01T00:00:01Z"), line("c", "2030-01-01T00:00:03Z"), b"  part of c"]
    (tmp_path / "madre.log").write_bytes(b"\n".join(madre) + b"\n")
    (tmp_path / "shub.log").write_bytes(line("b", "2030-01-01T00:00:02Z") + b"\n")
    found = [text for _, text in last_lines(tmp_path, ["madre", "shub", "missing"], 10)]
    assert [plain(one) for one in found] == ["a", "b", "c", "part of c"]
    assert [plain(text) for _, text in last_lines(tmp_path, ["madre", "shub"], 2)] == ["c", "part of c"]


def test_following_sees_new_lines_also_after_the_file_was_set_aside(tmp_path):
    path = tmp_path / "madre.log"
    path.write_text("old\n")
    lines = follow(tmp_path, ["madre"])
    seen = list[bytes]()
    both = threading.Event()

    def read() -> None:
        for _, text in lines:
            seen.append(text)
            if text == b"ready":
                os.replace(path, tmp_path / "madre.log.1")
                path.write_text("after\n")
            if text == b"after":
                both.set()
                return

    started = threading.Thread(target=read, daemon=True)
    started.start()
    while not seen:  # the reader looks where the file ends when it starts; until it has, this line may count as old
        with path.open("a") as out:
            out.write("ready\n")
        both.wait(0.05)
    assert both.wait(20)
    assert seen[-1] == b"after"
    assert b"old" not in seen
