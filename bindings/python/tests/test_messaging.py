"""Data channel messages: every option, every size, back pressure, every state."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Client, wait_until

LIMIT = 262_144
HYBRID = {"data_channel_signaling": True, "ignore_disconnect_websocket": False}
CHANNELS_ONLY = {"data_channel_signaling": True, "ignore_disconnect_websocket": True}
MakeClient = Callable[..., Client]


def pair(make_client: MakeClient, mode: dict[str, bool], **channel: Any) -> tuple[Client, Client]:
    """Two clients whose #chat is open."""
    options = {**mode, "data_channels": [{"label": "#chat", "direction": "sendrecv", **channel}]}
    clients = (make_client("sendrecv", **options).connect(), make_client("sendrecv", **options).connect())
    for client in clients:
        wait_until(lambda client=client: ("#chat",) in client.named("on_data_channel"), "#chat to open")
    return clients


def messages(client: Client) -> list[bytes]:
    return [data for label, data in client.named("on_message") if label == "#chat"]


@pytest.mark.parametrize("mode", [HYBRID, CHANNELS_ONLY], ids=["hybrid", "channels only"])
@pytest.mark.parametrize(
    "settings",
    [
        {}, {"ordered": False}, {"ordered": True}, {"max_packet_life_time": 5000}, {"max_retransmits": 3},
        {"ordered": False, "max_retransmits": 0}, {"protocol": "chat/1"}, {"compress": True}, {"compress": False},
    ],
    ids=str,
)  # fmt: skip
def test_messages_of_every_size_arrive_whole(
    make_client: MakeClient, mode: dict[str, bool], settings: dict[str, Any]
) -> None:
    one, two = pair(make_client, mode, **settings)
    # Random bytes grow when they are compressed; the limit is on both sides of that.
    sizes = [0, 1, 1200, 65_536, LIMIT - 1000, *([] if settings.get("compress") else [LIMIT])]
    sent = [os.urandom(size) for size in sizes]
    for message in sent:
        assert one.connection.send_data_channel("#chat", message)
        wait_until(lambda message=message: message in messages(two), f"a message of {len(message)} bytes")
    assert messages(two) == sent
    assert messages(one) == []


def test_a_message_that_only_compression_makes_small_is_too_long(make_client: MakeClient) -> None:
    one, two = pair(make_client, CHANNELS_ONLY, compress=True)
    assert not one.connection.send_data_channel("#chat", bytes(LIMIT + 1))
    assert not one.connection.send_data_channel("#chat", os.urandom(LIMIT))
    assert one.connection.send_data_channel("#chat", bytes(LIMIT))
    wait_until(lambda: messages(two) == [bytes(LIMIT)], "the message")


def test_a_full_buffer_refuses_and_takes_again(make_client: MakeClient) -> None:
    """What was refused does not arrive, and what arrives is in order. (A server need not keep for a receiver that does
    not keep up what it has accepted: ours keeps 4 MiB.)"""
    one, two = pair(make_client, CHANNELS_ONLY)
    accepted, refused = [], 0
    number = 0
    while refused == 0 and number < 10_000:
        message = number.to_bytes(4, "big") + bytes(LIMIT - 4)
        if one.connection.send_data_channel("#chat", message):
            accepted.append(number)
        else:
            refused += 1
        number += 1
    assert refused, "gigabytes were accepted without a word"
    gate = threading.Event()

    def taken() -> bool:
        gate.wait(0.01)
        return one.connection.send_data_channel("#chat", b"last")

    wait_until(taken, "room for another message")
    wait_until(lambda: b"last" in messages(two), "the last message")
    numbers = [int.from_bytes(data[:4], "big") for data in messages(two)[:-1]]
    assert numbers and numbers == sorted(numbers) and set(numbers) <= set(accepted)


def test_what_a_label_cannot_be(make_client: MakeClient) -> None:
    one, two = pair(make_client, CHANNELS_ONLY)
    for label in ("", "#", "#none", "chat", "signaling", "notify", "stats", "rpc", "#" + "x" * 5000, "#\0"):
        assert not one.connection.send_data_channel(label, b"x"), label
    assert one.connection.send_data_channel("#chat", b"still")
    wait_until(lambda: messages(two) == [b"still"], "the message")


def test_sending_stays_callable_in_every_state(make_client: MakeClient) -> None:
    client = make_client(
        "sendrecv", **CHANNELS_ONLY, data_channels=[{"label": "#chat", "direction": "sendrecv"}]
    )  # fmt: skip
    assert not client.connection.send_data_channel("#chat", b"x")
    client.connection.connect()
    early = client.connection.send_data_channel("#chat", b"x")
    opened = ("#chat",) in client.named("on_data_channel")
    assert not early or opened
    wait_until(lambda: ("#chat",) in client.named("on_data_channel"), "#chat to open")
    assert client.connection.send_data_channel("#chat", b"x")
    client.connection.disconnect()
    assert not client.connection.send_data_channel("#chat", b"x")
