"""Programs that end in every state and every order of deletion; for a test and for a measurement."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

HEAD = """
import faulthandler, gc, sys, threading, time
faulthandler.dump_traceback_later(20, exit=True)
import numpy as np
from sora_sdk import *
url, channel, silent = sys.argv[1:]
picture, sound = np.zeros((240, 320, 3), np.uint8), np.ones((4800, 1), np.int16)


def connect(sora, role="sendrecv", url=url, **options):
    there = threading.Event()
    connection = sora.create_connection(signaling_urls=[url], role=role, channel_id=channel, **options)
    connection.on_switched = connection.on_notify = lambda text: there.set()
    connection.connect()
    assert url == silent or there.wait(10)
    return connection


def everything(**options):
    sora = Sora()
    audio, video = sora.create_audio_source(1, 48_000), sora.create_video_source()
    connection = connect(sora, audio_source=audio, video_source=video, **options)
    for _ in range(5): video.on_captured(picture); audio.on_data(sound)
    return sora, connection, audio, video


def now(): print(repr(time.monotonic()), flush=True)
"""

#: What runs before the interpreter ends; now() is called last unless the state calls it itself.
STATES = {
    "only imported": "",
    "five Soras are deleted": "for _ in range(5): sora = Sora(); del sora",
    "a video source is deleted before Sora": "sora = Sora(); video = sora.create_video_source(); del video; gc.collect()",
    "an audio source is deleted before Sora": "sora = Sora(); audio = sora.create_audio_source(1, 8000); del audio",
    "Sora is deleted before its sources": """
sora = Sora(); audio, video = sora.create_audio_source(1, 48_000), sora.create_video_source()
del sora; video.on_captured(picture); audio.on_data(sound); del video, audio
""",
    "a connection that never connected is deleted": """
sora = Sora(); connection = sora.create_connection([url], "sendrecv", channel); del connection
""",
    "a connection that never connected stays": 'sora = Sora(); connection = sora.create_connection([url], "sendrecv", channel)',
    "a connection that never connected outlives Sora": """
sora = Sora(); connection = sora.create_connection([url], "sendrecv", channel); del sora; gc.collect(); del connection
""",
    "disconnected, then all is deleted": """
sora, connection, audio, video = everything(); connection.disconnect(); del connection, sora, video, audio
""",
    "disconnected, nothing is deleted": "sora, connection, audio, video = everything(); connection.disconnect()",
    "connected, Sora is deleted first": """
sora, connection, audio, video = everything(); del sora; gc.collect(); connection.disconnect(); del connection
""",
    "connected, the connection is deleted": """
sora, connection, audio, video = everything(); del connection; gc.collect()
""",
    "connected": "sora, connection, audio, video = everything()",
    "connected, callbacks are set": """
sora, connection, audio, video = everything()
connection.on_disconnect = lambda code, text: None
connection.on_track = connection.on_message = connection.on_push = connection.on_signaling_message = lambda *_: None
""",
    "connected over data channels": "all = everything(data_channel_signaling=True, ignore_disconnect_websocket=True)",
    "connected in a function that has returned": """
def main(): everything()
main()
""",
    "disconnected in a function that has returned": """
def main(): everything()[1].disconnect()
main()
""",
    "connecting to a server that says nothing": "connection = connect(Sora(), url=silent); time.sleep(0.05)",
    "sinks with callbacks on sources": """
sora = Sora(); audio, video = sora.create_audio_source(1, 48_000), sora.create_video_source()
pictures, sounds, buffer = SoraVideoSink(video), SoraAudioStreamSink(audio, 24_000, 1), SoraAudioSink(audio)
pictures.on_frame = sounds.on_frame = lambda frame: frame.data(); buffer.on_data = lambda data: None
for _ in range(20): video.on_captured(picture); audio.on_data(sound)
""",
    "connected and fed by a thread": """
sora, connection, audio, video = everything()
def feed():
    while True: video.on_captured(picture); audio.on_data(sound)
threading.Thread(target=feed, daemon=True).start(); time.sleep(0.1)
""",
    "a read waits in a thread": """
sora = Sora(); sink = SoraAudioSink(sora.create_audio_source(1, 48_000))
threading.Thread(target=sink.read, args=(480, 30.0), daemon=True).start(); time.sleep(0.05)
""",
    "a callback runs": """
sora = Sora(); video = sora.create_video_source(); sink, inside = SoraVideoSink(video), threading.Event()
def on_frame(frame):
    inside.set()
    while True: sum(range(1000))
sink.on_frame = on_frame; video.on_captured(picture); assert inside.wait(5)
""",
    "a callback waits for a queue": """
import queue
sora = Sora(); video = sora.create_video_source(); sink, waiting = SoraVideoSink(video), queue.Queue(maxsize=1)
sink.on_frame = waiting.put
for _ in range(4): video.on_captured(picture); time.sleep(0.02)
""",
    "callbacks sleep": """
sora, connection, audio, video = everything(); pictures, sounds = SoraVideoSink(video), SoraAudioStreamSink(audio)
transformer, inside = SoraVideoFrameTransformer(), threading.Semaphore(0)
def sleep(*_): inside.release(); time.sleep(30)
pictures.on_frame = sounds.on_frame = connection.on_push = sleep; video.on_captured(picture); audio.on_data(sound)
assert inside.acquire(timeout=5) and inside.acquire(timeout=5)
""",
    "a callback waits for a lock and one for sound": """
sora = Sora(); video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
pictures, sounds, buffer = SoraVideoSink(video), SoraAudioStreamSink(audio), SoraAudioSink(audio)
lock, inside = threading.Lock(), threading.Semaphore(0); lock.acquire()
def wait(frame): inside.release(); lock.acquire()
def read(frame): inside.release(); buffer.read(10**9, 100)
pictures.on_frame, sounds.on_frame = wait, read; video.on_captured(picture); audio.on_data(sound)
assert inside.acquire(timeout=5) and inside.acquire(timeout=5)
""",
    "a callback wakes up now and then": """
sora = Sora(); video = sora.create_video_source(); sink, inside = SoraVideoSink(video), threading.Event()
def on_frame(frame):
    inside.set()
    while True: time.sleep(0.003)
sink.on_frame = on_frame; video.on_captured(picture); assert inside.wait(5)
""",
    "connected with asyncio, cancelled": """
import asyncio
from sora_sdk import aio
async def main():
    async def stay():
        async with aio.Connection(url, channel) as connection:
            inside.set(); await connection.ended()
    inside = asyncio.Event(); task = asyncio.ensure_future(stay()); await inside.wait(); task.cancel()
asyncio.run(main())
""",
}

#: How a program ends by itself, with its exit status.
ENDS = {
    "sys.exit": ("now(); sys.exit(3)", 3),
    "an exception": ("now(); raise RuntimeError('x')", 1),
    "os._exit": ("import os; now(); os._exit(4)", 4),
    "a signal": ("import os, signal; now(); os.kill(os.getpid(), signal.SIGTERM)", -15),
    "Ctrl+C": (
        "import os, signal; signal.signal(2, signal.default_int_handler); now(); os.kill(os.getpid(), 2); time.sleep(9)",
        -2,
    ),
}


@dataclass
class End:
    """How a program ended."""

    status: int
    #: From its last line until its process was gone.
    seconds: float
    stderr: str


def run(body: str, *arguments: str, dev: bool = True) -> End:
    """Runs a program of this module; the arguments are the signaling URL, a channel and a URL that never answers."""
    options = ["-X", "dev", "-W", "error"] if dev else []
    command = [sys.executable, *options, "-c", HEAD + body, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=40)
    ended = time.monotonic()
    try:
        last = float(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise AssertionError(f"status {done.returncode}: {done.stdout}{done.stderr}") from None
    return End(done.returncode, ended - last, done.stderr)
