"""Ten thousand of every class come and go, and nothing is left: no memory, no thread, no file."""

from __future__ import annotations

import json

import pytest
from conftest import run_script

HEAD = """
import asyncio, gc, json, os, pickle, sys, threading, time
import numpy as np
from sora_sdk import *
from sora_sdk import aio

URL = sys.argv[1]
sora = Sora()
audio, video = sora.create_audio_source(1, 48_000), sora.create_video_source()
sound, picture = np.zeros((480, 1), np.int16), np.zeros((48, 64, 3), np.uint8)
state = ([0] * 480, 480, 1, 48_000, None)


def keep(_): pass


def usage(threads=None):
    gc.collect()
    deadline = time.monotonic() + 10
    while threads is not None and len(os.listdir("/proc/self/task")) > threads and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"threads": len(os.listdir("/proc/self/task")), "files": len(os.listdir("/proc/self/fd")), "kb": resident}
"""

TAIL = """
def many(count):
    for number in range(count):
        make()
        # How much garbage waits for the collector is its own business, and differs without the GIL.
        if number % 250 == 0: gc.collect()

# What allocators and caches keep is there after the first of them, and without the GIL they keep more.
many(2000 if getattr(sys, "_is_gil_enabled", lambda: True)() else 6000)
before = usage()
many(10_000)
print(json.dumps({"before": before, "after": usage(before["threads"])}))
os._exit(0)
"""

CLASSES = {
    "Sora": "def make(): Sora()",
    "SoraAudioSource": "def make(): sora.create_audio_source(2, 16_000).on_data(np.zeros((160, 2), np.int16))",
    "SoraVideoSource": "def make(): sora.create_video_source().on_captured(picture)",
    "SoraConnection": """
def make():
    connection = sora.create_connection([URL], "sendrecv", "leaks", audio_source=audio, video_source=video)
    # Through itself, as programs do.
    connection.on_track = lambda track, me=connection: None
    if make.count % 50 == 0: connection.disconnect()
    make.count += 1
make.count = 0
""",
    "SoraAudioFrame": """
def make():
    frame = SoraAudioFrame.__new__(SoraAudioFrame)
    frame.__setstate__(state)
    frame.data()
    pickle.loads(pickle.dumps(frame))
""",
    "SoraVAD": "def make(): SoraVAD()",
    "SoraAudioSink": """
def make():
    sink = SoraAudioSink(audio, 16_000, 2)
    sink.on_data = keep
    audio.on_data(sound)
    sink.read()
""",
    "SoraAudioStreamSink": """
def make():
    sink = SoraAudioStreamSink(audio, 16_000, 2)
    sink.on_frame = keep
    audio.on_data(sound)
""",
    "SoraVideoSink and SoraVideoFrame": """
def make():
    sink, there = SoraVideoSink(video), threading.Event()
    sink.on_frame = lambda frame, me=sink: (frame.data(), there.set())
    video.on_captured(picture)
    there.wait(10)
    sink.on_frame = None
""",
    "SoraVideoCodecCapability": "def make(): get_video_codec_capability()",
    "SoraVideoCodecPreference": """
capability = get_video_codec_capability()
def make():
    preference = create_video_codec_preference_from_implementation(capability, SoraVideoCodecImplementation.INTERNAL)
    Sora(video_codec_preference=preference)
""",
    "aio.Stream": """
loop = asyncio.new_event_loop()
async def stream():
    items = aio.Stream(3, on_close=lambda: None)
    items._put(1)
    await items.__anext__()
def make(): loop.run_until_complete(stream())
""",
    "aio.Connection": """
loop = asyncio.new_event_loop()
async def connection(): aio.Connection(URL, "leaks", audio_source=audio)
def make(): loop.run_until_complete(connection())
""",
}


@pytest.mark.parametrize("name", CLASSES)
def test_ten_thousand_leave_nothing(url: str, name: str) -> None:
    done = run_script(HEAD + CLASSES[name] + TAIL, url, limit=55)
    assert done.returncode == 0, done.stderr[-2000:]
    used = json.loads(done.stdout)
    before, after = used["before"], used["after"]
    assert after["threads"] <= before["threads"] and after["files"] <= before["files"], used
    # 10,000 of anything that leaks a hundred bytes are a megabyte.
    assert after["kb"] - before["kb"] < 1500, used
