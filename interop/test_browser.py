"""Our package against sora-js-sdk in headless Chromium through the development server.

Chromium is libwebrtc with another client library on top: what passes here passes in applications for the web.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import peer_media as media
from child import Child, start_peer

pytestmark = pytest.mark.timeout(120)

SECONDS = 4.0
DEADLINE_S = 60.0
START_S = 40.0


class Browser:
    """Chromium with the test page, driven over the standard input of browser_driver.mjs."""

    def __init__(self, npm_dir: Path, chromium: str, profile: Path) -> None:
        self.child = Child(["node", "browser_driver.mjs", str(npm_dir), chromium, str(profile)])

    def call(self, name: str, **args: Any) -> dict[str, Any]:
        """Calls one of the page's functions; an exception there is an AssertionError here."""
        self.child.write(json.dumps({"call": name, "args": args}))
        reply = self.child.event("reply", DEADLINE_S)
        assert "error" not in reply, f"{name}: {reply['error']}\n{self.child.story()}"
        value: dict[str, Any] = reply["value"]
        return value

    def start(
        self, url: str, channel: str, role: str, mode: str, codec: str | None = None, compress: bool | None = None,
        header: bool = False, **more: Any,
    ) -> str:  # fmt: skip
        """Connects and returns the connection id."""
        connected = self.call(
            "start",
            url=url,
            channel=channel,
            role=role,
            mode=mode,
            codec=codec,
            compress=compress,
            header=header,
            **more,
        )
        return str(connected["connection_id"])

    def stop(self) -> dict[str, Any]:
        """Disconnects; the page must have been connected till then. Returns its one disconnect event."""
        ended = self.call("stop")
        assert ended["connectionState"] == "connected", ended
        assert "connection.created" in ended["notified"], ended
        (event,) = ended["disconnected"]
        assert event["type"] == "normal", ended
        return dict(event)


@pytest.fixture
def browser(npm_dir: Path, chromium: str, tmp_path: Path) -> Iterator[Browser]:
    """A fresh Chromium with an empty profile."""
    started = Browser(npm_dir, chromium, tmp_path / "profile")
    try:
        started.child.event("ready", START_S)
        yield started
    finally:
        started.child.end()


def check_red_and_blue(played: dict[str, Any]) -> None:
    """Red on the left, blue on the right, as canvas pixels (RGB)."""
    for side, strong in (("left", 0), ("right", 2)):
        colour = played[side]
        others = [value for index, value in enumerate(colour) if index != strong]
        assert colour[strong] > 180 and max(others) < 90, played


def check_camera(received: dict[str, Any]) -> None:
    """Chromium's fake camera and microphone: at least 15 pictures a second, light, changing, with beeps."""
    assert received["fps"] >= 15, received
    assert received["mean"] > 20 and received["change"] > 1, received
    width, height = received["size"]
    assert width >= 160 and abs(width / height - 4 / 3) < 0.05, received
    assert received["audio_peak"] > 1000, received
    assert [code for code, _ in received["on_disconnect"]] == ["CLOSE_SUCCEEDED"], received


@pytest.mark.parametrize(
    ("mode", "codec"),
    [("ws", "VP8"), ("ws", "VP9"), ("ws", "AV1"), ("ws", "H264"), ("hybrid", "VP8"), ("dc", "VP9")],
)
def test_browser_publishes(
    devserver: str, our_python: str, openh264: str, browser: Browser, children: list[Child], channel: str,
    mode: str, codec: str,
) -> None:  # fmt: skip
    """We receive the browser's camera and microphone."""
    browser.start(devserver, channel, "sendonly", mode, codec)
    receiver = start_peer(our_python, devserver, channel, "receive", mode=mode, seconds=SECONDS, openh264=openh264)
    children.append(receiver)
    check_camera(receiver.result(DEADLINE_S))
    browser.stop()


@pytest.mark.parametrize(
    ("mode", "codec"),
    [("ws", "VP8"), ("ws", "VP9"), ("ws", "AV1"), ("ws", "H264"), ("hybrid", "VP9"), ("dc", "VP8")],
)
@pytest.mark.parametrize("browser_first", [False, True])
def test_browser_plays(
    devserver: str, our_python: str, openh264: str, browser: Browser, children: list[Child], channel: str,
    mode: str, codec: str, browser_first: bool,
) -> None:  # fmt: skip
    """The browser decodes and shows what we publish, whoever comes first, and hears it."""
    if browser_first:
        browser.start(devserver, channel, "recvonly", mode)
    publisher = start_peer(
        our_python, devserver, channel, "publish", mode=mode, codec=codec, picture="halves", openh264=openh264
    )
    children.append(publisher)
    publisher.event("connected", DEADLINE_S)
    if not browser_first:
        browser.start(devserver, channel, "recvonly", mode)
    first = browser.call("play", frames=30, deadline_ms=20_000)
    later = browser.call("play", frames=first["framesDecoded"] + 45, deadline_ms=10_000)
    assert later["codec"] == f"video/{codec}", later
    check_red_and_blue(later)
    assert later["audioPackets"] > first["audioPackets"] > 0, (first, later)
    assert later["audioEnergy"] > first["audioEnergy"] > 0, (first, later)
    browser.stop()
    sent = publisher.result(DEADLINE_S)
    assert later["streams"] == [sent["connection_id"]], (later, sent["connection_id"])
    assert [code for code, _ in sent["on_disconnect"]] == ["CLOSE_SUCCEEDED"], sent


@pytest.mark.parametrize(("rid", "width"), [("r0", 320), ("r1", 640), ("r2", 1280)])
@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_browser_simulcast(
    devserver: str, our_python: str, browser: Browser, children: list[Child], channel: str, codec: str,
    rid: str, width: int,
) -> None:  # fmt: skip
    """The browser sends three layers; we get the one we ask for."""
    browser.start(devserver, channel, "sendonly", "ws", codec, simulcast=True, width=1280, height=720)
    more = json.dumps({"simulcast_request_rid": rid})
    receiver = start_peer(our_python, devserver, channel, "receive", seconds=2.0, width_wanted=width, more=more)
    children.append(receiver)
    received = receiver.result(DEADLINE_S)
    assert received["size"] == [width, width * 9 // 16], received
    browser.stop()


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_browser_plays_a_layer(
    devserver: str, our_python: str, openh264: str, browser: Browser, children: list[Child], channel: str, codec: str
) -> None:
    """The browser shows a layer of what we send in three."""
    more = json.dumps({"simulcast": True})
    options = {"codec": codec, "picture": "halves", "openh264": openh264, "size": "1280x720", "more": more}
    publisher = start_peer(our_python, devserver, channel, "publish", **options)
    children.append(publisher)
    publisher.event("connected", DEADLINE_S)
    browser.start(devserver, channel, "recvonly", "ws")
    browser.call("play", frames=30, deadline_ms=20_000)
    later = browser.call("play", frames=75, deadline_ms=10_000)
    assert (later["width"], later["height"]) == (320, 180), later
    check_red_and_blue(later)
    browser.stop()
    sent = publisher.result(DEADLINE_S)
    layers = [(entry["rid"], entry["frameWidth"]) for entry in sent["outgoing"] if entry["kind"] == "video"]
    assert sorted(layers) == [("r0", 320), ("r1", 640), ("r2", 1280)], sent["outgoing"]


@pytest.mark.parametrize("mode", ["ws", "dc"])
def test_both_ways_at_once(
    devserver: str, our_python: str, browser: Browser, children: list[Child], channel: str, mode: str
) -> None:
    """Both ends are sendrecv: one peer connection carries pictures and sound both ways."""
    browser.start(devserver, channel, "sendrecv", mode, "VP8")
    peer = start_peer(our_python, devserver, channel, "both", mode=mode, codec="VP8", picture="halves", seconds=8)
    children.append(peer)
    peer.event("connected", DEADLINE_S)
    check_red_and_blue(browser.call("play", frames=60, deadline_ms=20_000))
    check_camera(peer.result(DEADLINE_S))
    browser.stop()


@pytest.mark.parametrize("mode", ["hybrid", "dc"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("header", [False, True])
def test_messages(
    devserver: str, our_python: str, browser: Browser, children: list[Child], channel: str,
    mode: str, compress: bool, header: bool,
) -> None:  # fmt: skip
    """Messages on #test arrive whole both ways, compressed or not, with the sender's id where asked for."""
    publisher = start_peer(
        our_python, devserver, channel, "publish", mode=mode, compress=str(compress).lower(), header=header
    )
    children.append(publisher)
    publisher.event("connected", DEADLINE_S)
    browser_id = browser.start(devserver, channel, "recvonly", mode, compress=compress, header=header)
    talked = browser.call("talk", count=5, deadline_ms=20_000)
    # Ours has heard the browser before the browser goes: its messages are on their way since it began to talk.
    browser.stop()
    sent = publisher.result(DEADLINE_S)
    prefix = sent["connection_id"].encode() if header else b""
    bodies = [bytes(message["bytes"]) for message in talked["messages"]]
    assert len(bodies) >= 5 and all(body.startswith(prefix + b"publish:") for body in bodies), bodies[:2]
    assert all(body.endswith(media.PAYLOAD_TAIL) for body in bodies), bodies[:2]
    assert sent["messages"] >= 3 and sent["messages_whole"] == sent["messages"], sent
    assert sent["message_heads"] == ["browser"], sent
    assert sent["message_senders"] == ([browser_id] if header else [""]), sent


@pytest.mark.parametrize("mode", ["ws", "hybrid", "dc"])
def test_goodbye(devserver: str, browser: Browser, channel: str, mode: str) -> None:
    """The server closes each data channel, not the association under them: sora-js-sdk calls the latter an error."""
    browser.start(devserver, channel, "sendonly", mode, "VP8")
    browser.call("switched", deadline_ms=10_000)
    event = browser.stop()
    assert (event["code"], event["reason"]) == (1000, "TYPE-DISCONNECT"), event
