"""Our package behind real networks: TURN by coturn, an HTTP proxy by tinyproxy, TLS with an authority of our own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from child import Child, start_peer
from conftest import start_devserver
from network import Authority, HttpProxy, TurnServer, start_coturn, start_tinyproxy

pytestmark = pytest.mark.timeout(120)

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only these tests trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def coturn(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TurnServer]:
    """A TURN server whose certificate is good for localhost, but not for 127.0.0.1."""
    binary = shutil.which("turnserver")
    if binary is None:
        pytest.skip("coturn is not installed")
    server = start_coturn(binary, tmp_path_factory.mktemp("coturn"), authority.server("turn", ["localhost"]))
    try:
        yield server
    finally:
        server.child.end()


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


def refused(
    python: str, children: list[Child], url: str, channel: str, more: dict[str, Any], seconds: float = 20
) -> str:
    """The text of on_disconnect of a connection that must not come about."""
    peer = start_peer(python, url, channel, "receive", more=json.dumps(more), connect_deadline=seconds)
    children.append(peer)
    ended = peer.event("refused", seconds + 10)["on_disconnect"]
    assert [code for code, _ in ended] == ["WEBSOCKET_HANDSHAKE_FAILED"], ended
    return str(ended[0][1])


# ---- TURN -----------------------------------------------------------------------------------------------------------


def relay_server(children: list[Child], *ice_servers: dict[str, object]) -> str:
    return start_devserver(
        children, "--ice-servers", json.dumps(list(ice_servers)), "--ice-transport-policy", "relay"
    )  # fmt: skip


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_relay_only(
    our_python: str, children: list[Child], channel: str, coturn: TurnServer, authority: Authority, transport: str
) -> None:
    """All media goes through the TURN server, whatever carries it there, and no candidate tells an address."""
    url = relay_server(children, coturn.ice_server(transport, "localhost"))
    more = {"ca_cert": str(authority.path)}
    received = call(our_python, children, url, channel, more, more)
    assert received["local_candidate_types"] == ["relay"], received


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_turn_server_with_an_ipv6_address(
    our_python: str, children: list[Child], channel: str, coturn: TurnServer, transport: str
) -> None:
    """The server is reached over IPv6, the relay is IPv4."""
    url = relay_server(children, coturn.ice_server(transport, "[::1]"))
    received = call(our_python, children, url, channel, {}, {})
    assert received["local_candidate_types"] == ["relay"], received


def test_the_name_of_a_turn_server_is_verified(
    our_python: str, children: list[Child], channel: str, coturn: TurnServer, authority: Authority
) -> None:
    """Its certificate says localhost: as 127.0.0.1 it is refused and there is no connection."""
    url = relay_server(children, coturn.ice_server("tls", "127.0.0.1"))
    peer = start_peer(
        our_python, url, channel, "receive", more=json.dumps({"ca_cert": str(authority.path)}), connect_deadline=8
    )
    children.append(peer)
    peer.event("refused", 20)


def test_wrong_turn_credentials_give_no_connection(
    our_python: str, children: list[Child], channel: str, coturn: TurnServer
) -> None:
    """The policy is obeyed: without a relay there is no way, least of all a direct one."""
    url = relay_server(children, {**coturn.ice_server("udp"), "credential": "wrong"})
    peer = start_peer(our_python, url, channel, "receive", connect_deadline=8)
    children.append(peer)
    peer.event("refused", 20)


def test_the_reference_relays_too(
    reference_python: str, our_python: str, children: list[Child], channel: str, coturn: TurnServer
) -> None:
    """The same server settings work for libwebrtc: its pictures reach us relay to relay."""
    url = relay_server(children, coturn.ice_server("udp"))
    sender = start_peer(reference_python, url, channel, "publish")
    children.append(sender)
    sender.event("connected", DEADLINE_S)
    taker = start_peer(our_python, url, channel, "receive", seconds=3)
    children.append(taker)
    sender.result(DEADLINE_S)
    received = taker.result(DEADLINE_S)
    assert received["fps"] >= 20 and received["local_candidate_types"] == ["relay"], received


# ---- the proxy ------------------------------------------------------------------------------------------------------


def proxied(proxy: HttpProxy, **more: Any) -> dict[str, Any]:
    return {"proxy_url": proxy.url, "proxy_username": proxy.username, "proxy_password": proxy.password, **more}


def test_signaling_and_turn_through_a_proxy(
    our_python: str, children: list[Child], channel: str, coturn: TurnServer, authority: Authority, proxy: HttpProxy
) -> None:
    """wss and TURN over TCP and TLS take the tunnel; the proxy has seen each of them."""
    pair = authority.server("signaling", ["localhost", "127.0.0.1"])
    url = start_devserver(
        children, "--tls-cert", str(pair.cert_path), "--tls-key", str(pair.key_path), "--ice-servers",
        json.dumps([coturn.ice_server("tcp"), coturn.ice_server("tls", "localhost")]), "--ice-transport-policy", "relay",
    )  # fmt: skip
    more = proxied(proxy, ca_cert=str(authority.path))
    received = call(our_python, children, url, channel, more, more)
    assert received["local_candidate_types"] == ["relay"], received
    targets = set(proxy.tunnels())
    signaling = url.split("/")[2]
    assert {signaling, f"127.0.0.1:{coturn.port}", f"localhost:{coturn.tls_port}"} <= targets, targets


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


# ---- TLS ------------------------------------------------------------------------------------------------------------


def tls_server(children: list[Child], pair: Any, *options: str, host: str = "127.0.0.1") -> str:
    return start_devserver(
        children, "--tls-cert", str(pair.cert_path), "--tls-key", str(pair.key_path), *options, host=host
    )  # fmt: skip


@pytest.mark.parametrize("form", ["path", "bytes"])
def test_an_authority_of_ones_own(
    our_python: str, children: list[Child], channel: str, authority: Authority, form: str
) -> None:
    """ca_cert is a path, as in 2024, or the PEM itself, as in 2025."""
    url = tls_server(children, authority.server("own", ["127.0.0.1"]))
    path = str(authority.path)
    more = {"ca_cert": path if form == "path" else {"pem_of": path}}
    call(our_python, children, url, channel, more, more)


@pytest.mark.parametrize("form", ["path", "bytes"])
def test_client_certificates(
    our_python: str, children: list[Child], channel: str, authority: Authority, form: str
) -> None:
    """A server that wants a client certificate takes ours and refuses a client without one."""
    url = tls_server(
        children, authority.server("mutual", ["127.0.0.1"]), "--tls-client-ca", str(authority.path)
    )  # fmt: skip
    client = authority.client("client")
    given = {"client_cert": str(client.cert_path), "client_key": str(client.key_path)}
    if form == "bytes":
        given = {name: {"pem_of": path} for name, path in given.items()}  # type: ignore[misc]
    more = {"ca_cert": str(authority.path)}
    call(our_python, children, url, channel, {**more, **given}, {**more, **given})
    refused(our_python, children, url, channel, more)


@pytest.mark.parametrize("fault", ["name", "expired", "self-signed", "unknown authority"])
def test_bad_certificates_are_refused(
    our_python: str, children: list[Child], channel: str, authority: Authority, fault: str
) -> None:
    """Each is CERTIFICATE_VERIFY_FAILED; insecure=True accepts them all."""
    pair = {
        "name": lambda: authority.server("name", ["other.example"]),
        "expired": lambda: authority.expired("expired", ["127.0.0.1"]),
        "self-signed": lambda: authority.self_signed("self-signed", ["127.0.0.1"]),
        "unknown authority": lambda: authority.server("unknown", ["127.0.0.1"]),
    }[fault]()
    url = tls_server(children, pair)
    more = {} if fault == "unknown authority" else {"ca_cert": str(authority.path)}
    text = refused(our_python, children, url, channel, more)
    assert text.startswith("Failed Websocket handshake: last_ec=CERTIFICATE_VERIFY_FAILED"), text
    insecure = {**more, "insecure": True}
    call(our_python, children, url, channel, insecure, insecure)


# ---- addresses ------------------------------------------------------------------------------------------------------


def test_ipv6(our_python: str, children: list[Child], channel: str) -> None:
    """An IPv6 literal in the signaling URL; media over IPv6."""
    url = start_devserver(children, host="[::1]")
    assert "[::1]" in url
    call(our_python, children, url, channel, {}, {})


def test_of_several_urls_the_one_that_answers_is_used(
    our_python: str, children: list[Child], channel: str, devserver: str, authority: Authority
) -> None:
    """Dead, refusing, unusable and black-hole URLs beside a good one do no harm."""
    others = ["ws://127.0.0.1:1/signaling", "wss://does-not-exist.invalid/signaling", "bogus://x"]
    more = {"signaling_urls": [*others, devserver]}
    call(our_python, children, devserver, channel, more, more)
