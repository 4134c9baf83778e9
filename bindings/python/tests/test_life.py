"""Endings and accidents, each in an interpreter of its own: they end with exit code 0 and soon."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable

import pytest
from conftest import Client, run_script, wait_until

from sora_sdk import Sora, SoraSignalingErrorCode

MakeClient = Callable[..., Client]
LIMIT_S = 2.0

HEAD = """
import sys, time, threading, gc
import numpy as np
from sora_sdk import *
url = sys.argv[1]
picture = np.zeros((240, 320, 3), np.uint8)
sound = np.ones((4800, 1), np.int16)
def connect(sora, role, **options):
    there, id = threading.Event(), []
    connection = sora.create_connection(signaling_urls=[url], role=role, channel_id=sys.argv[2], **options)
    connection.on_notify = lambda text: there.set()
    connection.connect()
    assert there.wait(10)
    return connection
started = time.monotonic()
"""

FROZEN = """
import os, signal
from sora_sdk.devserver import DevServer
with DevServer() as server:
    url = server.signaling_url
    connection = connect(Sora(), "sendrecv", websocket_close_timeout=1, disconnect_wait_timeout=1)
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        began, used = time.monotonic(), time.process_time()
        connection.disconnect()
        print(time.monotonic() - began, time.process_time() - used)
    finally:
        os.kill(server._process.pid, signal.SIGCONT)
"""


def test_waiting_for_a_server_that_is_stopped_takes_its_limit_and_no_cpu(url: str, channel: str) -> None:
    ran = run_script(HEAD + FROZEN, url, channel)
    assert ran.returncode == 0, ran.stderr
    waited, used = map(float, ran.stdout.split())
    assert 0.9 <= waited
    # All of the waiting time if anything spins.
    assert used < 0.5


SITUATIONS = {
    "a source, end of script": "sora = Sora(); audio = sora.create_audio_source(1, 48000)",
    "two sources, end of script": """
sora = Sora(); audio = sora.create_audio_source(1, 48000); video = sora.create_video_source()
""",
    "frames, then the source goes, then Sora": """
sora = Sora(); video = sora.create_video_source(); audio = sora.create_audio_source(1, 48000)
for _ in range(20): video.on_captured(picture); audio.on_data(sound)
del video; del audio; del sora
""",
    "frames, then Sora goes, then the source": """
sora = Sora(); video = sora.create_video_source(); audio = sora.create_audio_source(1, 48000)
for _ in range(20): video.on_captured(picture)
del sora; assert video.kind == "video"; audio.on_data(sound); video.on_captured(picture); del audio; del video
""",
    "a connection that never connects": """
sora = Sora(); connection = sora.create_connection(signaling_urls=[url], role="sendonly", channel_id="x")
""",
    "a connection that never connects is disconnected": """
sora = Sora(); connection = sora.create_connection(signaling_urls=[url], role="sendonly", channel_id="x")
connection.disconnect(); connection.disconnect()
try: connection.connect()
except RuntimeError as error: assert "Already disconnected" in str(error)
else: raise AssertionError
""",
    "a callback raises and the connection lives on": """
raised = []; sys.unraisablehook = lambda info: raised.append(info.exc_type)
sora = Sora(); connection = sora.create_connection(signaling_urls=[url], role="sendonly", channel_id=sys.argv[2])
there = threading.Event()
def on_set_offer(text): raise ValueError("boom")
def on_signaling_message(*args): raise SystemExit(3)
connection.on_set_offer = on_set_offer; connection.on_signaling_message = on_signaling_message
connection.on_notify = lambda text: there.set(); connection.connect()
assert there.wait(10); connection.disconnect()
assert ValueError in raised and SystemExit in raised, raised
""",
    "an array outlives its frame": """
sora = Sora(); video = sora.create_video_source(); got = []; there = threading.Event()
sink = SoraVideoSink(video)
def on_frame(frame): got.append(frame.data()); there.set()
sink.on_frame = on_frame
video.on_captured(np.full((240, 320, 3), 255, np.uint8)); assert there.wait(10)
del sink, video, sora; gc.collect()
junk = [np.zeros((240, 320, 3), np.uint8) for _ in range(50)]
assert got[0].min() >= 250 and got[0].flags.writeable
""",
    "a waiting read leaves the interpreter to others": """
sora = Sora(); audio = sora.create_audio_source(1, 48000); sink = SoraAudioSink(audio); turns = 0; over = False
def spin():
    global turns
    while not over: turns += 1
thread = threading.Thread(target=spin); thread.start()
assert sink.read(10**6, 0.5) == (False, None); over = True; thread.join()
assert turns > 10000, turns
""",
    "a sink that nobody reads stays small": """
sora = Sora(); audio = sora.create_audio_source(1, 48000); sink = SoraAudioSink(audio)
for _ in range(100): audio.on_data(np.ones((48000, 1), np.int16))
ok, data = sink.read(); assert ok and data.shape == (5 * 48000, 1), data.shape
""",
    "exit while connected": "sora = Sora(); connection = connect(sora, 'sendonly')",
    "exit while connected with callbacks": """
sora = Sora(); video = sora.create_video_source(); connection = connect(sora, 'sendrecv', video_source=video)
connection.on_disconnect = lambda code, text: None
for _ in range(10): video.on_captured(picture)
""",
    "exit while connected and fed by a thread": """
sora = Sora(); video = sora.create_video_source(); connection = connect(sora, 'sendrecv', video_source=video)
sink = SoraVideoSink(video); sink.on_frame = lambda frame: frame.data()
def feed():
    while True: video.on_captured(picture); time.sleep(0.001)
threading.Thread(target=feed, daemon=True).start(); time.sleep(0.2)
""",
    "the last reference goes while connected": """
sora = Sora(); connection = connect(sora, 'sendonly'); del connection; gc.collect(); del sora
""",
    "the last reference goes inside a callback": """
sora = Sora(); held = {}; there = threading.Event()
held['connection'] = sora.create_connection(signaling_urls=[url], role="sendonly", channel_id=sys.argv[2])
def on_notify(text): held.clear(); gc.collect(); there.set()
held['connection'].on_notify = on_notify; held['connection'].connect(); assert there.wait(10)
""",
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_it_ends_well_and_soon(url: str, channel: str, situation: str) -> None:
    tail = "\nprint(f'{time.monotonic() - started:.3f}', flush=True)"
    began = time.monotonic()
    done = run_script(HEAD + SITUATIONS[situation] + tail, url, channel)
    took = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    inside = float(done.stdout)
    # The interpreter's own start is not ours; what the script did and the exit are.
    assert inside < LIMIT_S
    assert took - inside < LIMIT_S


def test_exit_codes_are_the_programs_own(url: str, channel: str) -> None:
    done = run_script(HEAD + "sora = Sora(); connection = connect(sora, 'sendonly'); sys.exit(3)", url, channel)
    assert done.returncode == 3, done.stderr


def test_disconnect_inside_a_callback_works(make_client: MakeClient) -> None:
    client = make_client("sendonly")
    done = threading.Event()

    def on_notify(_: str) -> None:
        client.connection.disconnect()
        done.set()

    client.connection.on_notify = on_notify
    client.connection.connect()
    assert done.wait(10)
    wait_until(lambda: client.named("on_disconnect"), "the end")
    assert client.named("on_disconnect")[0][0] == SoraSignalingErrorCode.CLOSE_SUCCEEDED


def test_a_second_connect_does_nothing(make_client: MakeClient) -> None:
    client = make_client("sendonly").connect()
    client.connection.connect()
    client.connection.disconnect()
    assert len(client.named("on_set_offer")) == 1
    assert len(client.named("on_disconnect")) == 1
    with pytest.raises(RuntimeError, match="Already disconnected"):
        client.connection.connect()


def test_a_connection_in_a_cycle_is_collected(url: str, channel: str) -> None:
    connection = Sora().create_connection(signaling_urls=[url], role="sendonly", channel_id=channel)
    connection.on_notify = lambda text, held=connection: None
    gone = weakref.ref(connection)
    del connection
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("urls", "code", "text"),
    [
        (["ws://127.0.0.1:1/x"], SoraSignalingErrorCode.WEBSOCKET_HANDSHAKE_FAILED, "Connection refused"),
        (["foo"], SoraSignalingErrorCode.INVALID_PARAMETER, "Invalid Signaling URL: foo"),
    ],
)
def test_failures_to_connect_are_told(
    make_client: MakeClient, urls: list[str], code: SoraSignalingErrorCode, text: str
) -> None:
    client = make_client("sendonly", signaling_urls=urls)
    client.connection.connect()
    wait_until(lambda: client.named("on_disconnect"), "the end")
    ((got, message),) = client.named("on_disconnect")
    assert got == code
    assert text in message
    assert client.named("on_ws_close") == []


def test_a_refused_client_learns_why(make_client: MakeClient) -> None:
    client = make_client("bogus")
    client.connection.connect()
    wait_until(lambda: client.named("on_disconnect"), "the end")
    assert client.named("on_ws_close") == [(4490, "INVALID-ROLE")]
    ((code, message),) = client.named("on_disconnect")
    assert code == SoraSignalingErrorCode.WEBSOCKET_ONCLOSE
    assert message.endswith("wscode=4490 wsreason=INVALID-ROLE")


def test_many_connections_come_and_go_without_growing(url: str, channel: str) -> None:
    script = (
        HEAD
        + """
def resident(): return int(open('/proc/self/statm').read().split()[1]) * 4096
def threads(): return len(__import__('os').listdir('/proc/self/task'))
sora = Sora()
for turn in range(30):
    connect(sora, 'sendonly').disconnect()
    if turn == 9: before = resident(), threads()
gc.collect(); deadline = time.monotonic() + 2
while threads() > before[1] and time.monotonic() < deadline: time.sleep(0.01)
assert threads() <= before[1], (threads(), before)
assert resident() < before[0] + 8e6, (resident(), before)
"""
    )
    done = run_script(script, url, channel)
    assert done.returncode == 0, done.stderr


def test_a_server_that_vanishes_is_noticed_in_every_mode() -> None:
    """Stopped, not killed: no TCP connection ends, no packet comes."""
    server = subprocess.Popen(
        [os.environ["SORA_DEVSERVER"], "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        url = json.loads(server.stdout.readline())["signaling_url"]
        clients = []
        for ignore in (None, False, True):
            options = {} if ignore is None else {"data_channel_signaling": True, "ignore_disconnect_websocket": ignore}
            connection = Sora().create_connection([url], "sendrecv", f"vanish-{ignore}", **options)
            client = Client(connection)
            client.listen()
            clients.append(client.connect())
            if options:
                wait_until(lambda client=client: client.named("on_switched"), "switched")
        server.send_signal(signal.SIGSTOP)
        for client in clients:
            wait_until(lambda client=client: client.named("on_disconnect"), "the end", 30)
            expected = [(SoraSignalingErrorCode.PEER_CONNECTION_STATE_FAILED, "PeerConnectionState::kFailed")]
            assert client.named("on_disconnect") == expected
            client.connection.disconnect()
    finally:
        server.kill()
        server.wait(15)
        server.stdout.close()
