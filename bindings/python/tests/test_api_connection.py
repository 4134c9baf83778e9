"""SoraConnection, in the order of the documentation."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Client, Feeder, wait_until

from sora_sdk import Sora, SoraConnection, SoraMediaTrack, SoraSignalingErrorCode

MakeClient = Callable[..., Client]
SPAM: dict[str, Any] = {
    "data_channel_signaling": True,
    "data_channels": [{"label": "#spam", "direction": "sendrecv"}],
}


def test_it_is_made_by_create_connection_only(make_client: MakeClient) -> None:
    assert isinstance(make_client().connection, SoraConnection)
    with pytest.raises(TypeError):
        SoraConnection()


def test_connect_returns_at_once_and_connects(make_client: MakeClient) -> None:
    client = make_client()
    assert client.connection.connect() is None
    wait_until(client.is_connected, "the connection")


def test_disconnect_ends_with_the_last_callback(make_client: MakeClient) -> None:
    client = make_client().connect()
    assert client.connection.disconnect() is None
    assert client.events[-1][0] == "on_disconnect"
    assert client.connection.disconnect() is None


def test_get_stats_is_json_text(make_client: MakeClient) -> None:
    source = Sora().create_video_source()
    client = make_client("sendonly", video_source=source).connect()
    with Feeder(source, None):
        wait_until(lambda: '"codec"' in client.connection.get_stats(), "the statistics")
    report = json.loads(client.connection.get_stats())
    assert isinstance(report, list)
    assert all({"id", "type", "timestamp"} <= set(entry) for entry in report)
    assert {"codec", "transport", "outbound-rtp", "certificate"} <= {entry["type"] for entry in report}


def test_on_disconnect_gets_code_and_message(make_client: MakeClient) -> None:
    client = make_client().connect()
    client.connection.disconnect()
    ((code, message),) = client.named("on_disconnect")
    assert code is SoraSignalingErrorCode.CLOSE_SUCCEEDED
    assert isinstance(message, str)


def test_on_disconnect_of_a_server_that_is_not_there(make_client: MakeClient) -> None:
    client = make_client(signaling_urls=["ws://127.0.0.1:9/signaling"])
    client.connection.connect()
    wait_until(lambda: client.named("on_disconnect"), "the end")
    ((code, message),) = client.named("on_disconnect")
    assert code is SoraSignalingErrorCode.WEBSOCKET_HANDSHAKE_FAILED
    assert message


def test_send_data_channel_returns_whether_it_went(make_client: MakeClient) -> None:
    client = make_client(**SPAM)
    assert client.connection.send_data_channel("#spam", b"early") is False
    client.connect()
    wait_until(lambda: ("#spam",) in client.named("on_data_channel"), "the channel")
    assert client.connection.send_data_channel(label="#spam", data=b"data") is True
    assert client.connection.send_data_channel("#other", b"data") is False
    client.connection.disconnect()
    assert client.connection.send_data_channel("#spam", b"late") is False


def test_on_data_channel_and_on_message(make_client: MakeClient) -> None:
    one, other = make_client(**SPAM).connect(), make_client(**SPAM).connect()
    for client in (one, other):
        wait_until(lambda client=client: ("#spam",) in client.named("on_data_channel"), "the channel")
    assert one.connection.send_data_channel("#spam", "こんにちは".encode())
    wait_until(lambda: other.named("on_message"), "the message")
    ((label, data),) = other.named("on_message")
    assert (label, data) == ("#spam", "こんにちは".encode())
    assert isinstance(data, bytes)


def test_on_notify_gets_json_text(make_client: MakeClient) -> None:
    client = make_client().connect()
    ((text,), *_) = client.named("on_notify")
    message = json.loads(text)
    assert message["type"] == "notify"
    assert message["event_type"] == "connection.created"


def test_on_push(make_client: MakeClient, server_urls: dict[str, str], channel: str) -> None:
    client = make_client().connect()
    push(server_urls["api_url"], channel, {"spam": "egg"})
    wait_until(lambda: client.named("on_push"), "the push")
    ((text,),) = client.named("on_push")
    assert json.loads(text) == {"type": "push", "data": {"spam": "egg"}}


def push(api_url: str, channel: str, data: Any) -> None:
    """Pushes to everybody in a channel, as a program behind the server does."""
    import urllib.request

    body = json.dumps({"channel_id": channel, "data": data}).encode()
    headers = {"x-sora-target": "Sora_20160711.PushChannel", "content-type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(api_url, body, headers), timeout=10) as answer:
        assert answer.status == 200


def test_on_set_offer_gets_the_offer(make_client: MakeClient) -> None:
    client = make_client().connect()
    ((text,),) = client.named("on_set_offer")
    offer = json.loads(text)
    assert offer["type"] == "offer"
    assert offer["sdp"].startswith("v=0")


def test_on_track_gets_media_tracks_to_tell_apart_by_kind(make_client: MakeClient) -> None:
    sora = Sora()
    sources = {"video_source": sora.create_video_source(), "audio_source": sora.create_audio_source(1, 48_000)}
    sender = make_client("sendonly", **sources).connect()
    receiver = make_client("recvonly").connect()
    wait_until(lambda: len(receiver.tracks) == 2, "the tracks")
    assert {track.kind for track in receiver.tracks} == {"audio", "video"}
    assert all(isinstance(track, SoraMediaTrack) for track in receiver.tracks)
    assert {track.stream_id for track in receiver.tracks} == {sender.connection_id}


def test_on_switched_gets_the_message(make_client: MakeClient) -> None:
    client = make_client(data_channel_signaling=True).connect()
    wait_until(lambda: client.named("on_switched"), "the switch")
    ((text,),) = client.named("on_switched")
    assert json.loads(text)["type"] == "switched"


def test_callbacks_are_not_called_in_the_calling_thread(make_client: MakeClient) -> None:
    threads: set[int] = set()
    client = make_client()
    client.connection.on_notify = lambda text: threads.add(threading.get_ident())
    client.connection.connect()
    wait_until(lambda: threads, "a notification")
    assert threading.get_ident() not in threads
