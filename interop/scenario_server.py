"""A server that ends, breaks and confuses sessions in every way there is. The channel id, up to the first ":", is the
name of what it does. It is the aiortc server with other manners; prints {"event": "ready", "ws", "wss", "silent",
"slamming"}: URLs, two of them of servers that accept and never answer, and that reset every connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
import ssl
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from aiortc_server import Session, new_id
from offer_text import simulcast, without_msid
from scenario_table import SERVER

MANAGED = {"signaling": "sendrecv", "notify": "sendonly", "push": "sendonly", "stats": "recvonly"}


class ScenarioSession(Session):
    """One client and what is done to it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request, urls: dict[str, str]) -> None:
        super().__init__(socket)
        self.request, self.urls = request, urls
        self.plan: dict[str, Any] = {}

    async def on_connect(self, message: dict[str, Any]) -> None:
        self.connect = message
        name, *rest = message["channel_id"].split(":")
        self.plan = SERVER.get(name, {})
        if "close_early" in self.plan:
            await self.socket.close(code=self.plan["close_early"][0], message=self.plan["close_early"][1].encode())
        elif self.plan.get("abort_early"):
            self.abort()
        elif "redirect" in self.plan and not message.get("redirect"):
            location = self.plan["redirect"].replace("WS", self.urls["ws"])
            await self.socket.send_json({"type": "redirect", "location": location})
            await self.socket.close(code=1000, message=b"REDIRECT")
        elif not self.plan.get("no_offer"):
            await self.offer(own_channels="use_client_dcs" in rest)

    def abort(self) -> None:
        """Drops TCP without a word."""
        if self.request.transport:
            self.request.transport.abort()  # type: ignore[attr-defined]

    def labels(self, own_channels: bool) -> dict[str, bool]:
        """The data channels to offer and whether they are compressed."""
        labels = {}
        if "labels" in self.plan or own_channels:
            labels = dict.fromkeys(MANAGED, True) | self.plan.get("labels", {})
        if own_channels:
            labels |= {entry["label"]: bool(entry.get("compress")) for entry in self.connect["data_channels"]}
        return labels

    async def offer(self, own_channels: bool) -> None:
        """The offer, with what the scenario does to it."""
        role = self.connect["role"]
        self.compress = self.labels(own_channels)
        directions = {"sendonly": "recvonly", "recvonly": "sendonly"}
        wanted = [kind for kind in ("audio", "video") if self.connect.get(kind) is not False]
        self.add_media(wanted, directions.get(role, "sendrecv"), self.plan.get("codec", "VP8"))
        for label in self.compress:
            self.open_label(label)
        self.pc.on("track", lambda track: self.spawn(self.taken.drain(track)))
        self.pc.on("connectionstatechange", self.on_state)
        offer = {
            "type": "offer", "sdp": self.renamed(await self.make_offer()), "version": "aiortc",
            "connection_id": self.id, "client_id": self.id, "bundle_id": self.id, "session_id": new_id(),
            "channel_id": self.connect["channel_id"], "config": {"iceServers": [], "iceTransportPolicy": "all"},
            "mid": {transceiver.kind: transceiver.mid for transceiver in self.pc.getTransceivers()},
        }  # fmt: skip
        if self.compress:
            offer["data_channels"] = [
                {"label": label, "direction": MANAGED.get(label, "sendrecv"), "compress": compress}
                for label, compress in self.compress.items()
            ]
        if self.plan.get("minimal"):
            offer = {"type": "offer", "sdp": offer["sdp"], "connection_id": "X", "config": {"iceServers": []}}
        if self.plan.get("turn"):
            turn = {"urls": ["turn:127.0.0.1:9?transport=udp", "turn:127.0.0.1:9?transport=tcp"]}
            offer["config"]["iceServers"] = [{**turn, "username": "u", "credential": "p"}]
        if self.plan.get("simulcast"):
            offer["simulcast"] = True
            offer["encodings"] = [{"rid": f"r{n}", "active": True, "scaleResolutionDownBy": 4 / 2**n} for n in range(3)]
        if self.plan.get("bad_sdp"):
            offer["sdp"] = "v=0\r\nnonsense"
        for key in self.plan.get("without", []):
            del offer[key]
        await self.socket.send_json(offer)

    def renamed(self, sdp: str) -> str:
        """The offer as text, with what aiortc cannot do."""
        codec = self.plan.get("codec", "VP8")
        if codec not in ("VP8", "H264"):
            sdp = sdp.replace("VP8/90000", f"{codec}/90000")
        if self.plan.get("no_msid"):
            sdp = without_msid(sdp)
        return simulcast(sdp) if self.plan.get("simulcast") else sdp

    async def on_signaling(self, message: dict[str, Any], over_label: bool = False) -> None:
        kind = message.get("type")
        if kind == "disconnect":
            if self.plan.get("deaf"):
                return
            if over_label:
                await self.close_labels()
            if not self.socket.closed:
                await self.socket.close(code=1000, message=b"BYE" if over_label else b"")
        elif kind in ("answer", "re-answer", "update"):
            codec = self.plan.get("codec", "VP8")
            answer = message["sdp"].replace(f"{codec}/90000", "VP8/90000") if codec != "H264" else message["sdp"]
            # aiortc cannot take an answer that rejects an m-line: such a session stays as it is.
            with contextlib.suppress(ValueError):
                await self.accept(answer)
        else:
            await super().on_signaling(message, over_label)

    def on_label(self, label: str, data: str | bytes) -> None:
        if label == "signaling":
            super().on_label(label, data)

    async def live(self) -> None:
        """What happens once the connection stands: each step at its second."""
        begin = asyncio.get_running_loop().time()
        if "switch" in self.plan:
            await self.labels_open()
            await self.socket.send_json({"type": "switched", "ignore_disconnect_websocket": self.plan["switch"]})
        created = {"type": "notify", "event_type": "connection.created", "role": self.connect["role"]}
        await self.socket.send_json({**created, "connection_id": self.id, "minutes": 0, "channel_connections": 1})
        for second, step, *arguments in self.plan.get("after", []):
            await asyncio.sleep(max(0.0, begin + second - asyncio.get_running_loop().time()))
            await getattr(self, f"do_{step}")(*arguments)

    async def do_ws(self, message: dict[str, Any] | str | bytes) -> None:
        """A message on the WebSocket: an object, or text or bytes as they are."""
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            await self.socket.send_str(message if isinstance(message, str) else json.dumps(message))

    async def do_dc(self, label: str, message: dict[str, Any] | bytes) -> None:
        """A message on a label, compressed where that is said."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.channels[label].send(zlib.compress(data) if self.compress[label] else data)

    async def do_dc_text(self, label: str, text: str) -> None:
        """A message that is sent as text."""
        self.channels[label].send(text)

    async def do_dc_raw(self, label: str, data: bytes) -> None:
        """Bytes on a label as they are."""
        self.channels[label].send(data)

    async def do_offer_again(self, kind: str) -> None:
        """A re-offer or update that changes nothing."""
        await self.socket.send_json({"type": kind, "sdp": self.renamed(await self.make_offer())})

    async def do_close(self, code: int, reason: str) -> None:
        await self.socket.close(code=code, message=reason.encode())

    async def do_abort(self) -> None:
        self.abort()

    async def do_close_labels(self) -> None:
        await self.close_labels()

    async def do_close_peer(self) -> None:
        await self.pc.close()

    async def do_kill_ice(self) -> None:
        """The peer vanishes: its sockets close, nothing is said."""
        for transceiver in self.pc.getTransceivers():
            for protocol in transceiver.sender.transport.transport._connection._protocols:
                await protocol.close()

    async def finish(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.pc.close()


def handler(urls: dict[str, str]) -> Any:
    """Serves the WebSocket on any path but /missing."""

    async def signaling(request: web.Request) -> web.WebSocketResponse:
        if request.path == "/missing":
            raise web.HTTPNotFound
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        session = ScenarioSession(socket, request, urls)
        try:
            async for message in socket:
                if message.type == WSMsgType.TEXT:
                    await session.on_signaling(message.json())
            # In data channel mode the peer connection outlives the WebSocket.
            if session.plan.get("switch"):
                await asyncio.wait_for(session.ended.wait(), 60)
        finally:
            await session.finish()
        return socket

    return signaling


async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accepts and never answers."""
    try:
        await asyncio.sleep(120)
    finally:
        writer.close()


async def slamming(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Resets every connection."""
    writer.get_extra_info("socket").setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def main(certificate: Path, key: Path) -> None:
    """Serves until the process is ended."""
    urls: dict[str, str] = {}
    application = web.Application()
    application.router.add_get("/{path:.*}", handler(urls))
    runner = web.AppRunner(application)
    await runner.setup()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    for name, address in zip(("ws", "wss"), runner.addresses, strict=True):
        urls[name] = f"{name}://127.0.0.1:{address[1]}/signaling"
    for name, serve in (("silent", silent), ("slamming", slamming)):
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        urls[name] = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/signaling"
        asyncio.get_running_loop().create_task(server.serve_forever())
    print(json.dumps({"event": "ready", **urls}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
