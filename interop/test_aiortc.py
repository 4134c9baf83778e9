"""Our package against a server that shares no code with it or with libwebrtc: aiortc's ICE, DTLS, SRTP, SCTP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from child import Child, start_peer

pytestmark = pytest.mark.timeout(120)

DEADLINE_S = 60.0
REFERENCE_RACES = (
    "Unintended disconnect WebSocket during Disconnect process",
    "Failed to close WebSocket: ec=Transport endpoint is not connected wscode=1000",
)


@pytest.fixture(scope="module")
def aiortc_server() -> Iterator[tuple[Child, str]]:
    """The server and its signaling URL."""
    pytest.importorskip("aiortc")
    pytest.importorskip("aiohttp")
    server = Child([sys.executable, "aiortc_server.py"])
    try:
        yield server, server.event("ready", 20)["url"]
    finally:
        server.end()


@pytest.fixture(params=["ours", "reference"])
def python(request: pytest.FixtureRequest) -> str:
    """Our package, and the reference as a check that the server is right."""
    name = {"ours": "our_python", "reference": "reference_python"}[request.param]
    return str(request.getfixturevalue(name))


def run(
    server: tuple[Child, str], python: str, children: list[Child], channel: str, role: str, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Runs one peer to its end; returns its result and the server's account of the session."""
    child, url = server
    peer = start_peer(python, url, channel, role, **options)
    children.append(peer)
    try:
        result = peer.result(DEADLINE_S)
        session = json.loads(child.line(lambda line: channel in line, 30))
    except AssertionError as error:
        raise AssertionError(f"{error}\nserver:\n{child.story()}") from None
    ends = [tuple(end) for end in result["on_disconnect"]]
    if python == os.environ.get("SORA_REFERENCE_PYTHON"):
        # Its threads may see the WebSocket close before the labels the server closed first, or shut down a socket that
        # the server has closed already.
        ends = [end for end in ends if not end[1].startswith(REFERENCE_RACES)] or [("CLOSE_SUCCEEDED", "")]
    assert [code for code, _ in ends] == ["CLOSE_SUCCEEDED"], f"{ends} {session}"
    assert "failed" not in session["log"], session
    assert not [entry for entry in session["log"] if entry.startswith("labels not closed")], session
    return result, session


def check_received(result: dict[str, Any]) -> None:
    """The server's picture and tone, as we decoded them: 15 pictures a second are sent."""
    assert result["fps"] >= 12, result
    assert result["size"] == [640, 480], result
    assert result["numbers"] >= 0.9 * result["frames"], result
    assert result["audio_hz"] == pytest.approx(440, rel=0.01), result


def check_labels(result: dict[str, Any], session: dict[str, Any], mode: str) -> None:
    """The switch to labels, messages both ways, and the goodbye over the signaling label."""
    assert result["labels"] == ["#spam", "notify", "push", "signaling", "stats"], result
    switched = [json.loads(text) for text in result["switched"]]
    assert switched == [{"type": "switched", "ignore_disconnect_websocket": mode == "dc"}], result
    assert "dc disconnect" in session["log"], session
    assert session["messages"] >= 5 and session["messages_whole"] == session["messages"], session
    assert result["messages"] >= 4 and result["messages_whole"] == result["messages"], result
    assert result["message_heads"] == ["server"], result


def test_plain_publish(aiortc_server: tuple[Child, str], python: str, children: list[Child], channel: str) -> None:
    """What we publish (VP8, Opus) aiortc decodes: whole pictures at their rate, and the tone."""
    result, session = run(aiortc_server, python, children, channel, "publish", codec="VP8", seconds=4)
    assert session["frames"] >= 75 and session["fps"] >= 20, session
    assert session["size"] == [640, 480], session
    assert session["numbers"] >= 0.9 * session["frames"], session
    assert session["audio_hz"] == pytest.approx(440, rel=0.01), session
    assert result["on_ws_close"] == [[1000, "TYPE-DISCONNECT"]], result


def test_plain_receive(aiortc_server: tuple[Child, str], python: str, children: list[Child], channel: str) -> None:
    """What aiortc sends (VP8, Opus) we decode, under the stream id of the offer."""
    result, session = run(aiortc_server, python, children, channel, "receive", seconds=4)
    check_received(result)
    assert {track["stream_id"] for track in result["tracks"]} == {session["streams"][0]}, result
    assert "ws disconnect" in session["log"], session


@pytest.mark.parametrize("mode", ["hybrid", "dc"])
@pytest.mark.parametrize("scenario", ["dc", "dcz"])
@pytest.mark.parametrize("role", ["receive", "publish"])
def test_data_channels(
    aiortc_server: tuple[Child, str], python: str, children: list[Child], channel: str,
    mode: str, scenario: str, role: str,
) -> None:  # fmt: skip
    """Signaling over data channels: dc has plain labels (text), dcz labels with zlib, and messages likewise."""
    result, session = run(
        aiortc_server, python, children, f"{scenario}-{channel}", role, mode=mode, seconds=4, label="#spam",
        compress="true" if scenario == "dcz" else "false",
    )  # fmt: skip
    check_labels(result, session, mode)
    if role == "receive":
        check_received(result)
    else:
        assert session["audio_hz"] == pytest.approx(440, rel=0.01), session
        assert session["numbers"] >= 0.9 * session["frames"] > 0, session


@pytest.mark.parametrize("mode", ["ws", "hybrid", "dc"])
def test_reoffer(aiortc_server: tuple[Child, str], python: str, children: list[Child], channel: str, mode: str) -> None:
    """A second pair of tracks arrives by re-offer, plays, and ends when its m-lines go to port 0; the first goes on."""
    result, session = run(
        aiortc_server, python, children, f"reoffer-{channel}", "receive", mode=mode, seconds=1, until="left"
    )
    first, second = session["streams"]
    states = {(track["kind"], track["stream_id"]): track["state"] for track in result["tracks"]}
    assert states == {
        ("audio", first): "LIVE", ("video", first): "LIVE", ("audio", second): "ENDED", ("video", second): "ENDED",
    }, (result, session)  # fmt: skip
    assert all(track["frames"] >= 10 for track in result["tracks"]), (result, session)
    labels = 0 if mode == "ws" else 1
    assert session["log"].count(f"{'ws' if mode == 'ws' else 'dc'} re-answer") == 2, session
    rejected = next(entry for entry in session["log"] if entry.startswith("rejected")).split(" ")[1]
    assert rejected == "1" * (2 + labels) + "00", session
