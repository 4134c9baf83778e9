"""Our package and the reference package against each other through the development server, both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest

from child import Child, start_peer

pytestmark = pytest.mark.timeout(120)

SECONDS = 4.0
DEADLINE_S = 60.0
END_TEXT = {
    "ws": "Succeeded to close WebSocket (DC signaling is not enabled)",
    "hybrid": "Succeeded to close Websocket (DC signaling is enabled)",
    "dc": "Succeeded to close DataChannel",
}
WS_CLOSE = {"ws": [1000, "TYPE-DISCONNECT"], "hybrid": [1000, "TYPE-DISCONNECT"], "dc": [1000, "SELF-CLOSED"]}


def run_pair(
    children: list[Child], url: str, channel: str, publisher: str, receiver: str, codec: str, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs a publisher and a receiver to their clean ends and returns both results."""
    sender = start_peer(publisher, url, channel, "publish", codec=codec, seconds=SECONDS, **options)
    children.append(sender)
    sender.event("connected", DEADLINE_S)
    taker = start_peer(receiver, url, channel, "receive", seconds=SECONDS, **options)
    children.append(taker)
    return sender.result(DEADLINE_S), taker.result(DEADLINE_S)


def check_media(received: dict[str, Any], codec: str = "VP8") -> None:
    """At least 25 pictures a second that are the ones sent, in their shape, and the tone within one percent."""
    assert received["fps"] >= 25, received
    # libaom's fast modes take some flips of black and white blocks for motion, in the reference too.
    legible = 0.8 if codec == "AV1" else 0.9
    assert received["numbers"] >= legible * received["frames"], received
    width, height = received["size"]
    # A congestion controller may scale down; libwebrtc's steps may also round to multiples of 16.
    assert width >= 320 and abs(width / height - 4 / 3) < 0.05, received
    assert received["audio_hz"] == pytest.approx(440, rel=0.01), received
    assert 4000 <= received["audio_peak"] <= 16000, received
    assert sorted(kind for kind, _ in received["track_states"]) == ["audio", "video"], received


def check_ending(result: dict[str, Any], mode: str) -> None:
    """One on_disconnect with CLOSE_SUCCEEDED, the last of all callbacks, and one on_ws_close before it."""
    assert result["on_disconnect"] == [["CLOSE_SUCCEEDED", END_TEXT[mode]]], result
    assert result["on_ws_close"] == [WS_CLOSE[mode]], result
    assert result["callbacks"][-1] == "on_disconnect", result
    assert len(result["switched"]) == (0 if mode == "ws" else 1), result
    assert all(state == "ENDED" for _, state in result["track_states"]), result


@pytest.mark.parametrize(
    ("codec", "mode"),
    [("VP8", "ws"), ("VP8", "hybrid"), ("VP8", "dc"), ("VP9", "ws"), ("VP9", "dc"), ("AV1", "ws"), ("H264", "ws")],
)
def test_reference_publishes(
    devserver: str, our_python: str, reference_python: str, openh264: str, children: list[Child], channel: str,
    codec: str, mode: str,
) -> None:  # fmt: skip
    """What the reference publishes we receive: picture rate, numbers, tone, and both ends are clean."""
    options = {"mode": mode, "openh264": openh264}
    sent, received = run_pair(children, devserver, channel, reference_python, our_python, codec, **options)
    check_media(received, codec)
    check_ending(sent, mode)
    check_ending(received, mode)


@pytest.mark.parametrize(
    ("codec", "mode"),
    [("VP8", "ws"), ("VP8", "hybrid"), ("VP8", "dc"), ("VP9", "ws"), ("VP9", "hybrid"), ("AV1", "ws"), ("H264", "ws")],
)
def test_we_publish(
    devserver: str, our_python: str, reference_python: str, openh264: str, children: list[Child], channel: str,
    codec: str, mode: str,
) -> None:  # fmt: skip
    """What we publish the reference receives: picture rate, numbers, tone, and both ends are clean."""
    options = {"mode": mode, "openh264": openh264}
    sent, received = run_pair(children, devserver, channel, our_python, reference_python, codec, **options)
    check_media(received, codec)
    assert received["size"] == [640, 480], received
    check_ending(sent, mode)
    check_ending(received, mode)


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
@pytest.mark.parametrize("we_publish", [True, False])
def test_encrypted(
    devserver: str, our_python: str, reference_python: str, children: list[Child], channel: str,
    we_publish: bool, codec: str,
) -> None:  # fmt: skip
    """Frames that a transformer of one package encrypts, one of the other decrypts."""
    publisher, receiver = (our_python, reference_python) if we_publish else (reference_python, our_python)
    _, received = run_pair(children, devserver, channel, publisher, receiver, codec, encrypted=True)
    check_media(received, codec)


@pytest.mark.parametrize(("rid", "width"), [("r0", 320), ("r1", 640), ("r2", 1280)])
@pytest.mark.parametrize("we_publish", [True, False])
def test_simulcast(
    devserver: str, our_python: str, reference_python: str, children: list[Child], channel: str,
    we_publish: bool, rid: str, width: int,
) -> None:  # fmt: skip
    """A receiver gets the layer it asks for of the three that are sent, in whole pictures."""
    publisher, receiver = (our_python, reference_python) if we_publish else (reference_python, our_python)
    options: dict[str, Any] = {"codec": "VP8", "size": "1280x720", "more": json.dumps({"simulcast": True})}
    sender = start_peer(publisher, devserver, channel, "publish", **options)
    children.append(sender)
    sender.event("connected", DEADLINE_S)
    # The reference of 2025.4 knows the older name only.
    wanted = json.dumps({"simulcast_rid": rid, "simulcast": True})
    taker = start_peer(receiver, devserver, channel, "receive", seconds=2.0, width_wanted=width, more=wanted)
    children.append(taker)
    received = taker.result(DEADLINE_S)
    # libwebrtc makes sides multiples of 16.
    assert received["size"][0] == width and abs(received["size"][1] - width * 9 // 16) < 16, received
    assert received["numbers"] >= 0.9 * received["frames"], received
    sent = sender.result(DEADLINE_S)
    layers = sorted(entry["rid"] for entry in sent["outgoing"] if entry["kind"] == "video")
    assert layers == ["r0", "r1", "r2"], sent["outgoing"]
    assert "SimulcastEncoderAdapter" in str(sent["outgoing"]), sent["outgoing"]


@pytest.mark.parametrize("compress", ["false", "true"])
@pytest.mark.parametrize("mode", ["hybrid", "dc"])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("we_publish", [True, False])
def test_messages(
    devserver: str, our_python: str, reference_python: str, children: list[Child], channel: str,
    compress: str, mode: str, header: bool, we_publish: bool,
) -> None:  # fmt: skip
    """Messages on #test arrive whole both ways, compressed or not, and carry the sender's id where asked for."""
    publisher, receiver = (our_python, reference_python) if we_publish else (reference_python, our_python)
    sent, received = run_pair(
        children, devserver, channel, publisher, receiver, "VP8", mode=mode, compress=compress, header=header
    )
    for mine, other, heads in ((sent, received, ["receive"]), (received, sent, ["publish"])):
        assert mine["messages"] >= 5, mine
        assert mine["messages_whole"] == mine["messages"], mine
        assert mine["message_heads"] == heads, mine
        assert mine["message_senders"] == ([other["connection_id"]] if header else [""]), mine
        assert "#test" in mine["labels"], mine
        check_ending(mine, mode)


@pytest.mark.parametrize("mode", ["ws", "hybrid", "dc"])
@pytest.mark.parametrize("we_publish", [True, False])
def test_publisher_leaves(
    devserver: str, our_python: str, reference_python: str, children: list[Child], channel: str,
    mode: str, we_publish: bool,
) -> None:  # fmt: skip
    """A receiver stays connected while a publisher leaves and another comes: its first tracks end, new ones play."""
    publisher, receiver = (our_python, reference_python) if we_publish else (reference_python, our_python)
    taker = start_peer(receiver, devserver, channel, "receive", mode=mode, until="time", seconds=20, ended_tracks=4)
    children.append(taker)
    taker.event("connected", DEADLINE_S)
    streams = []
    for codec in ("VP8", "VP9"):
        sender = start_peer(
            publisher, devserver, channel, "publish", mode=mode, codec=codec, until="time", seconds=SECONDS
        )
        children.append(sender)
        sent = sender.result(DEADLINE_S)
        check_ending(sent, mode)
        streams.append(sent["connection_id"])
    received = taker.result(DEADLINE_S)
    assert [track["stream_id"] for track in received["tracks"]] == [streams[0]] * 2 + [streams[1]] * 2, received
    assert [track["state"] for track in received["tracks"]] == ["ENDED"] * 4, received
    assert all(track["frames"] >= 60 for track in received["tracks"]), received
    check_ending(received, mode)


def test_reference_with_itself(devserver: str, reference_python: str, children: list[Child], channel: str) -> None:
    """The reference on both ends: shows whether a failure above is the server's or ours."""
    sent, received = run_pair(children, devserver, channel, reference_python, reference_python, "VP8", mode="dc")
    check_media(received)
    check_ending(sent, "dc")
    check_ending(received, "dc")
