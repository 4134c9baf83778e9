"""Our package behind real networks: an HTTP proxy by tinyproxy, several URLs, IPv6."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from child import Child, start_peer
from conftest import start_devserver
from network import HttpProxy, start_tinyproxy

pytestmark = pytest.mark.timeout(120)

DEADLINE_S = 60.0


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[HttpProxy]:
    """An HTTP proxy that wants Basic authentication."""
    binary = shutil.which("tinyproxy")
    if binary is None:
        pytest.skip("tinyproxy is not installed")
    server = start_tinyproxy(binary, tmp_path)
    try:
        yield server
    finally:
        server.child.end()


def call(
    python: str, children: list[Child], url: str, channel: str, more: dict[str, Any], receiver_more: dict[str, Any]
) -> dict[str, Any]:
    """A publisher and a receiver with these arguments; returns what was received."""
    sender = start_peer(python, url, channel, "publish", more=json.dumps(more))
    children.append(sender)
    sender.event("connected", DEADLINE_S)
    taker = start_peer(python, url, channel, "receive", seconds=3, more=json.dumps(receiver_more))
    children.append(taker)
    sender.result(DEADLINE_S)
    received = taker.result(DEADLINE_S)
    assert received["fps"] >= 20, received
    assert received["numbers"] >= 0.9 * received["frames"], received
    assert received["audio_hz"] == pytest.approx(440, rel=0.01), received
    return received


def refused(python: str, children: list[Child], url: str, channel: str, more: dict[str, Any], seconds: float = 20) -> str:
    """The text of on_disconnect of a connection that must not come about."""
    peer = start_peer(python, url, channel, "receive", more=json.dumps(more), connect_deadline=seconds)
    children.append(peer)
    ended = peer.event("refused", seconds + 10)["on_disconnect"]
    assert [code for code, _ in ended] == ["WEBSOCKET_HANDSHAKE_FAILED"], ended
    return str(ended[0][1])


# ---- the proxy ------------------------------------------------------------------------------------------------------


def proxied(proxy: HttpProxy, **more: Any) -> dict[str, Any]:
    return {"proxy_url": proxy.url, "proxy_username": proxy.username, "proxy_password": proxy.password, **more}


def test_plain_signaling_takes_the_proxy_too(
    our_python: str, children: list[Child], channel: str, devserver: str, proxy: HttpProxy
) -> None:
    """ws goes through the proxy as wss does; media over UDP goes directly."""
    call(our_python, children, devserver, channel, proxied(proxy), {})
    assert devserver.split("/")[2] in proxy.tunnels()


def test_a_proxy_that_refuses_is_told(
    our_python: str, children: list[Child], channel: str, devserver: str, proxy: HttpProxy
) -> None:
    """Wrong credentials: the text says which setting to check and names the proxy."""
    text = refused(our_python, children, devserver, channel, proxied(proxy, proxy_password="wrong"))
    assert "proxy_password" in text and text.endswith(f"last_url={devserver} proxy_url={proxy.url}"), text


# ---- addresses ------------------------------------------------------------------------------------------------------


def test_ipv6(our_python: str, children: list[Child], channel: str) -> None:
    """An IPv6 literal in the signaling URL; media over IPv6."""
    url = start_devserver(children, host="[::1]")
    assert "[::1]" in url
    call(our_python, children, url, channel, {}, {})


def test_of_several_urls_the_one_that_answers_is_used(
    our_python: str, children: list[Child], channel: str, devserver: str
) -> None:
    """Dead, refusing, unusable and black-hole URLs beside a good one do no harm."""
    others = ["ws://127.0.0.1:1/signaling", "wss://does-not-exist.invalid/signaling", "bogus://x"]
    more = {"signaling_urls": [*others, devserver]}
    call(our_python, children, devserver, channel, more, more)
