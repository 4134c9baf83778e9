"""What the native half has to say goes to `logging`, at the level that was asked for."""

from __future__ import annotations

from conftest import run_script

# A connection to a port that nobody listens on: warnings and what leads to them.
FAIL = """
import logging, os, sys, threading
import sora_sdk
from sora_sdk import Sora, SoraLoggingSeverity

class Keeper(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records, self.seen = [], threading.Condition()

    def emit(self, record):
        with self.seen:
            self.records.append(record)
            self.seen.notify_all()

    def wait(self, condition, limit=10):
        with self.seen:
            assert self.seen.wait_for(lambda: any(map(condition, self.records)), limit), self.records

def fail():
    ended = threading.Event()
    connection = Sora().create_connection(
        signaling_urls=["ws://127.0.0.1:9/signaling"], role="recvonly", channel_id="logging"
    )
    connection.on_disconnect = lambda code, text: ended.set()
    connection.connect()
    assert ended.wait(10)
"""


def run(script: str) -> tuple[str, str]:
    ran = run_script(FAIL + script)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, ran.stderr


def test_nothing_is_written_unless_asked() -> None:
    assert run("fail()") == ("", "")


def test_asking_writes_to_stderr() -> None:
    out, log = run("""
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.INFO)
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.VERBOSE)
keeper = Keeper()
logging.getLogger("sora_sdk").addHandler(keeper)
fail()
keeper.wait(lambda record: record.levelno >= logging.WARNING)
""")
    assert out == ""
    lines = log.splitlines()
    assert lines
    assert len(lines) == len(set(lines)), "one handler is enough"
    assert all(" sora_sdk" in line for line in lines), log


def test_a_program_can_write_among_the_records() -> None:
    out, log = run("""
keeper = Keeper()
logging.getLogger("sora_sdk").addHandler(keeper)
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.VERBOSE)
for severity in SoraLoggingSeverity:
    sora_sdk.rtc_log(severity, f"100 % {severity.name}")
sora_sdk.rtc_log(1, "a number")
print([(record.levelname, record.getMessage(), record.funcName, record.lineno > 0) for record in keeper.records])
for wrong in ((9, "x"), ("INFO", "x"), (SoraLoggingSeverity.INFO, 1), (-1, "x")):
    try:
        sora_sdk.rtc_log(*wrong)
    except TypeError:
        continue
    raise AssertionError(wrong)
""")
    levels = ["DEBUG", "INFO", "WARNING", "ERROR", "INFO"]
    texts = ["100 % VERBOSE", "100 % INFO", "100 % WARNING", "100 % ERROR", "a number"]
    assert eval(out) == [(level, text, "<module>", True) for level, text in zip(levels, texts, strict=True)]
    assert log == ""


def test_a_programs_own_handlers_get_the_records() -> None:
    out, log = run("""
keeper = Keeper()
logging.getLogger().addHandler(keeper)
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.WARNING)
assert logging.getLogger("sora_sdk").level == logging.WARNING
fail()
keeper.wait(lambda record: record.levelno >= logging.WARNING)
record = keeper.records[0]
assert all(record.levelno >= logging.WARNING for record in keeper.records), keeper.records
assert record.name.startswith("sora_sdk"), record.name
assert record.pathname.endswith(".rs") and record.lineno > 0, record.pathname
assert record.threadName and "Dummy" not in record.threadName, record.threadName
print(record.getMessage())
""")
    assert log == ""
    assert "WebsocketHandshakeFailed" in out


def test_no_level_means_silence() -> None:
    assert run("""
keeper = Keeper()
logging.getLogger().addHandler(keeper)
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.NONE)
fail()
assert not keeper.records, keeper.records
""") == ("", "")


def test_a_handler_may_raise_log_and_connect() -> None:
    out, log = run("""
logging.raiseExceptions = False
class Bad(Keeper):
    def emit(self, record):
        super().emit(record)
        logging.getLogger("sora_sdk").debug("from the handler")
        Sora().create_audio_source(1, 48_000)
        1 / 0

keeper = Bad()
logging.getLogger("sora_sdk").addHandler(keeper)
sys.unraisablehook = lambda unraisable: print(unraisable.exc_type.__name__)
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.WARNING)
fail()
fail()
keeper.wait(lambda record: record.levelno >= logging.WARNING)
""")
    assert set(out.split()) <= {"ZeroDivisionError"}
    assert log == ""


def test_a_handler_that_blocks_holds_up_nobody() -> None:
    out, _ = run("""
entered, gate = threading.Event(), threading.Event()
class Slow(logging.Handler):
    def emit(self, record):
        entered.set()
        gate.wait()

logging.getLogger("sora_sdk").addHandler(Slow())
sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.VERBOSE)
for _ in range(5):
    fail()
assert entered.wait(10)
print("done", flush=True)
gate.set()
""")
    assert out == "done\n"
