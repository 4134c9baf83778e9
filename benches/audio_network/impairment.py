"""A network between the development server and one client: loses and delays the sound on its way to the client.

Stands between them in signaling, so that the only way for media is through its own UDP sockets. What happens to the
n-th packet of sound is the same in every run.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

CANDIDATE = re.compile(r"^a=candidate:(\S+) (\d+) udp (\d+) (\S+) (\d+) typ host(.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Network:
    """Loss from 0 to 1, in bursts of this mean length, and the mean of the exponentially distributed delay in ms."""

    name: str
    loss: float = 0.0
    burst: float = 1.0
    jitter_ms: float = 0.0

    def fates(self) -> Any:
        """For each packet its delay in seconds, or None if it is lost."""
        source = random.Random(20)
        losing = False
        while True:
            enter = self.loss / (1 - self.loss) / self.burst
            losing = source.random() < (1 - 1 / self.burst if losing else enter)
            delay = source.expovariate(1000 / self.jitter_ms) if self.jitter_ms else 0.0
            yield None if losing else delay


class Relay:
    """Carries datagrams between one client and one address of the server."""

    def __init__(self, network: Network, payload_types: set[int]) -> None:
        self.fates = network.fates()
        self.payload_types = payload_types
        self.client: tuple[str, int] | None = None
        self.to_client: Any = None
        self.to_server: Any = None
        self.packets = 0

    async def open(self, host: str, port: int) -> int:
        """Opens both sockets; the port that stands for the server's."""
        loop = asyncio.get_running_loop()
        self.to_server, _ = await loop.create_datagram_endpoint(
            lambda: Side(self.from_server), remote_addr=(host, port)
        )
        self.to_client, _ = await loop.create_datagram_endpoint(lambda: Side(self.from_client), local_addr=(host, 0))
        return int(self.to_client.get_extra_info("sockname")[1])

    def from_client(self, data: bytes, address: Any) -> None:
        self.client = address
        self.to_server.sendto(data)

    def from_server(self, data: bytes, _: Any) -> None:
        if self.client is None:
            return
        # RFC 7983: 128 to 191 is RTP or RTCP.
        is_sound = len(data) > 12 and 128 <= data[0] <= 191 and data[1] & 0x7F in self.payload_types
        delay = next(self.fates) if is_sound else 0.0
        self.packets += is_sound
        if delay:
            asyncio.get_running_loop().call_later(delay, self.to_client.sendto, data, self.client)
        elif delay is not None:
            self.to_client.sendto(data, self.client)

    def close(self) -> None:
        self.to_client.close()
        self.to_server.close()


class Side(asyncio.DatagramProtocol):
    def __init__(self, received: Any) -> None:
        self.datagram_received = received  # type: ignore[method-assign]


async def through_relays(sdp: str, network: Network, relays: list[Relay]) -> str:
    """The offer with every UDP candidate behind a relay and without the others."""
    payload_types = {int(number) for number in re.findall(r"a=rtpmap:(\d+) opus/", sdp, re.IGNORECASE)}
    lines = []
    for line in sdp.split("\r\n"):
        found = CANDIDATE.match(line)
        if found:
            foundation, component, priority, host, port, rest = found.groups()
            relay = Relay(network, payload_types)
            relays.append(relay)
            stand_in = await relay.open(host, int(port))
            lines.append(f"a=candidate:{foundation} {component} udp {priority} {host} {stand_in} typ host{rest}")
        elif not line.startswith("a=candidate:"):
            lines.append(line)
    return "\r\n".join(lines)


async def serve(upstream: str, network: Network) -> tuple[web.AppRunner, str, list[Relay]]:
    """Starts a signaling server that leads to `upstream` through the network; how to stop it, its URL, its relays."""
    relays: list[Relay] = []

    async def signaling(request: web.Request) -> web.WebSocketResponse:
        client = web.WebSocketResponse()
        await client.prepare(request)
        async with aiohttp.ClientSession() as session, session.ws_connect(upstream) as server:

            async def down() -> None:
                async for message in server:
                    content = json.loads(message.data)
                    if content.get("type") in ("offer", "re-offer", "update"):
                        content["sdp"] = await through_relays(content["sdp"], network, relays)
                    await client.send_str(json.dumps(content))
                await client.close()

            async def up() -> None:
                async for message in client:
                    content = json.loads(message.data)
                    # The server must not learn another way to the client.
                    if content.get("type") == "candidate":
                        continue
                    if "sdp" in content:
                        kept = [line for line in content["sdp"].split("\r\n") if not line.startswith("a=candidate:")]
                        content["sdp"] = "\r\n".join(kept)
                    await server.send_str(json.dumps(content))
                await server.close()

            await asyncio.gather(down(), up(), return_exceptions=True)
        return client

    app = web.Application()
    app.router.add_get("/signaling", signaling)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    return runner, f"ws://127.0.0.1:{port}/signaling", relays
