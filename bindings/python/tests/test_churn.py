"""A thousand connections one after the other and two hundred at once leave nothing behind."""

from __future__ import annotations

import json
from typing import Any

from conftest import run_script

PRELUDE = """
import gc, json, os, sys, threading, time
from sora_sdk import Sora

URL = sys.argv[1]
sora = Sora()


def usage(threads=None):
    # Threads on their way out are waited for.
    gc.collect()
    deadline = time.monotonic() + 5
    while threads is not None and len(os.listdir("/proc/self/task")) > threads and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"threads": len(os.listdir("/proc/self/task")), "files": len(os.listdir("/proc/self/fd")), "kb": resident}


class Call:
    def __init__(self, channel, role="sendrecv"):
        self.connected, self.ended, self.ends = threading.Event(), threading.Event(), []
        self.video = sora.create_video_source()
        self.connection = sora.create_connection([URL], role, channel, video_source=self.video)
        self.connection.on_notify = lambda text: self.connected.set()
        self.connection.on_disconnect = self.disconnected
        self.connection.connect()

    def disconnected(self, code, text):
        self.ends.append((int(code), text))
        self.connected.set()
        self.ended.set()

    def talk(self):
        assert self.connected.wait(15), "not connected"
        assert not self.ends, self.ends

    def leave(self):
        self.connection.disconnect()
        assert self.ended.wait(15) and len(self.ends) == 1 and self.ends[0][0] == 0, self.ends
"""


def measured(script: str, url: str) -> dict[str, Any]:
    done = run_script(PRELUDE + script, url, limit=55)
    assert done.returncode == 0, done.stderr[-2000:]
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_a_thousand_connections_leave_nothing(url: str) -> None:
    result = measured(
        """
def cycle(number):
    call = Call(f"churn-{os.getpid()}-{number % 7}")
    call.talk()
    call.leave()
    # How much garbage waits for the collector is its own business.
    if number % 50 == 0: gc.collect()

# Without the GIL Python keeps more before it frees some.
for number in range(100 if getattr(sys, "_is_gil_enabled", lambda: True)() else 1000):
    cycle(number)
early = usage()
for number in range(900):
    cycle(number)
print(json.dumps({"early": early, "late": usage(early["threads"])}))
""",
        url,
    )
    early, late = result["early"], result["late"]
    assert late["threads"] <= early["threads"] and late["files"] <= early["files"], result
    # A kilobyte for each connection would show. (No picture is sent: what the C library's allocator keeps of an
    # encoder's megabytes goes up and down.)
    assert late["kb"] - early["kb"] < 900, result


def test_two_hundred_connections_at_once_leave_nothing(url: str) -> None:
    result = measured(
        """
def round():
    calls = [Call(f"crowd-{os.getpid()}-{number}") for number in range(200)]
    for call in calls:
        call.talk()
    busy = usage()
    for call in calls:
        call.leave()
    return busy

round()
round()
early = usage()
busy = round()
print(json.dumps({"early": early, "busy": busy, "late": usage(early["threads"])}))
""",
        url,
    )
    assert result["late"]["threads"] <= result["early"]["threads"], result
    assert result["late"]["files"] <= result["early"]["files"], result
    assert result["late"]["kb"] - result["early"]["kb"] < 4096, result
