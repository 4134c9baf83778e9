"""Temporal and spatial layers: what we encode in them others decode, and the other way round.

A server with access tokens is told the layers by a claim, as Sora is by its authentication webhook.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from child import Child, start_peer
from conftest import start_devserver
from test_browser import Browser, browser, check_red_and_blue  # noqa: F401

pytestmark = pytest.mark.timeout(120)

SECRET = "secret of the layer tests"
DEADLINE_S = 60.0
MODES = [("VP8", "L1T3"), ("VP9", "L1T3"), ("VP9", "L3T1"), ("VP9", "L3T3_KEY"), ("AV1", "L1T3"), ("H264", "L1T2")]


def token(channel: str, **claims: Any) -> dict[str, str]:
    """Metadata with an access token (HS256)."""
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    encoded = b".".join(part(json.dumps(one).encode()) for one in ({"alg": "HS256"}, {"channel_id": channel, **claims}))
    signature = hmac.new(SECRET.encode(), encoded, hashlib.sha256).digest()
    return {"access_token": (encoded + b"." + part(signature)).decode()}


def publish(
    python: str, url: str, channel: str, codec: str, mode: str, library: str, children: list[Child], picture: str
) -> Child:
    """A publisher of one stream with these layers: of three encodings the first has the full size, the others rest.

    The reference sends nothing if there is only one encoding: it answers without any rid or SSRC then.
    """
    first = {"rid": "r0", "scalabilityMode": mode, "scaleResolutionDownBy": 1.0}
    rest = [{"rid": rid, "active": False} for rid in ("r1", "r2")]
    metadata = token(channel, simulcast_encodings=[first, *rest])
    more = json.dumps({"simulcast": True, "metadata": metadata})
    options = {"codec": codec, "size": "1280x720", "openh264": library, "picture": picture, "more": more}
    publisher = start_peer(python, url, channel, "publish", **options)
    children.append(publisher)
    publisher.event("connected", DEADLINE_S)
    return publisher


@pytest.mark.parametrize(("codec", "mode"), MODES)
def test_browser_plays_layers(
    our_python: str, openh264: str, browser: Browser, children: list[Child], channel: str,  # noqa: F811
    codec: str, mode: str,
) -> None:  # fmt: skip
    """Chromium shows what we send in layers, in full size and in the right colours."""
    url = start_devserver(children, "--jwt-secret", SECRET)
    publisher = publish(our_python, url, channel, codec, mode, openh264, children, "halves")
    browser.start(url, channel, "recvonly", "ws", metadata=token(channel))
    browser.call("play", frames=30, deadline_ms=20_000)
    later = browser.call("play", frames=75, deadline_ms=10_000)
    assert (later["width"], later["height"]) == (1280, 720), later
    check_red_and_blue(later)
    browser.stop()
    publisher.result(DEADLINE_S)


@pytest.mark.parametrize(("codec", "mode"), [(codec, mode) for codec, mode in MODES if codec != "H264"])
def test_we_receive_layers_of_the_reference(
    our_python: str, reference_python: str, openh264: str, children: list[Child], channel: str, codec: str, mode: str
) -> None:
    """We decode what the reference sends in layers: legible pictures at their rate."""
    url = start_devserver(children, "--jwt-secret", SECRET)
    publisher = publish(reference_python, url, channel, codec, mode, openh264, children, "moving")
    more = json.dumps({"metadata": token(channel)})
    receiver = start_peer(our_python, url, channel, "receive", seconds=4.0, more=more)
    children.append(receiver)
    received = receiver.result(DEADLINE_S)
    assert received["fps"] >= 25, received
    assert received["numbers"] >= 0.8 * received["frames"], received
    sent = publisher.result(DEADLINE_S)
    video = [entry for entry in sent["outgoing"] if entry["kind"] == "video"]
    assert [entry["rid"] for entry in video if entry["framesEncoded"]] == ["r0"], video
