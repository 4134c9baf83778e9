"""A small server that speaks Sora's signaling, on aiortc and aiohttp: other ICE, DTLS, SRTP, SCTP and codecs than ours.

One connection is one session: there is no forwarding. The server decodes what a client sends and plays a picture and a
tone to a client that receives. The client's connect message chooses the signaling mode. A channel id that begins with
"dcz" compresses the labels of signaling; one that begins with "reoffer" adds a second pair of tracks after the
connection stands and removes it again. Prints {"event": "ready", "url"}, then one "session" line per ended session.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import zlib
from typing import Any

from aiohttp import WSMsgType, web
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

import peer_media as media
from aiortc_media import Pictures, Taken, Tone
from offer_text import next_version, rejected, restream

MANAGED = {"signaling": "sendrecv", "notify": "recvonly", "push": "recvonly", "stats": "sendrecv"}
SECOND_FRAMES = 20


def new_id() -> str:
    """26 characters, as Sora's ids have."""
    return secrets.token_hex(13).upper()


def complain(done: asyncio.Task[None]) -> None:
    """Reports the exception of a task that nobody awaits."""
    if not done.cancelled() and done.exception():
        print(repr(done.exception()), file=sys.stderr, flush=True)


class Session:
    """One client from connect to its end."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self.id, self.other_id, self.second_id = new_id(), new_id(), new_id()
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self.taken, self.tasks = Taken(), list[asyncio.Task[None]]()
        self.channels: dict[str, RTCDataChannel] = {}
        self.compress: dict[str, bool] = {}
        self.streams: dict[str, str] = {}
        self.connect: dict[str, Any] = {}
        self.version, self.sent_sdp = 1, ""
        self.messages: list[bytes] = []
        self.log: list[str] = []
        self.connected, self.ended = asyncio.Event(), asyncio.Event()
        self.answers: asyncio.Queue[str] = asyncio.Queue()
        self.switched = False

    def spawn(self, work: Any) -> None:
        """Runs a coroutine for as long as the session lasts; its exception goes to standard error."""
        task = asyncio.create_task(work)
        task.add_done_callback(complain)
        self.tasks.append(task)

    async def say(self, label: str, message: dict[str, Any]) -> None:
        """Sends over the label when signaling has switched, else over the WebSocket."""
        if not self.switched:
            await self.socket.send_json(message)
            return
        self.post(label, json.dumps(message))

    def post(self, label: str, text: str | bytes) -> None:
        """One data channel message: zlib where the label is compressed, else text as text and bytes as bytes."""
        data = text.encode() if isinstance(text, str) else text
        self.channels[label].send(zlib.compress(data) if self.compress[label] else text)

    def add_pair(self, stream_id: str, send: bool) -> None:
        """Adds an audio and a video m-line."""
        self.add_media(["audio", "video"], "sendonly" if send else "recvonly", "VP8", stream_id)

    def add_media(self, kinds: list[str], direction: str, codec: str, stream_id: str | None = None) -> None:
        """Adds m-lines; those that send play a tone and a picture."""
        for kind in kinds:
            track = {"audio": Tone, "video": Pictures}[kind]
            transceiver = self.pc.addTransceiver(kind if direction == "recvonly" else track(), direction=direction)
            # Codecs that aiortc does not have are renamed in the text of the offer.
            wanted = {"audio/opus", "video/H264" if codec == "H264" else "video/VP8", "video/rtx"}
            capabilities = RTCRtpReceiver.getCapabilities(kind)
            known = capabilities.codecs if capabilities else []
            transceiver.setCodecPreferences([entry for entry in known if entry.mimeType in wanted])
            if direction != "recvonly":
                self.streams[transceiver.sender._track_id] = stream_id or self.other_id

    async def make_offer(self) -> str:
        """A new local offer with our stream ids and the next version."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self.version += 1
        self.sent_sdp = next_version(restream(self.pc.localDescription.sdp, self.streams), self.version)
        return self.sent_sdp

    async def on_connect(self, message: dict[str, Any]) -> None:
        """Answers connect with the offer."""
        self.connect = message
        role, labels = message["role"], dict[str, bool]()
        if message.get("data_channel_signaling"):
            labels = {label: message["channel_id"].startswith("dcz") for label in MANAGED}
            labels |= {entry["label"]: bool(entry.get("compress")) for entry in message.get("data_channels", [])}
        self.compress = labels
        # Media first: aiortc bundles everything onto the transport of the first m-line.
        self.add_pair(self.other_id, send=role == "recvonly")
        for label in labels:
            self.open_label(label)
        self.pc.on("track", lambda track: self.spawn(self.taken.drain(track)))
        self.pc.on("connectionstatechange", self.on_state)
        sdp = await self.make_offer()
        offer = {
            "type": "offer", "sdp": sdp, "version": "aiortc", "connection_id": self.id, "client_id": self.id,
            "bundle_id": self.id, "session_id": new_id(), "channel_id": message["channel_id"],
            "config": {"iceServers": [], "iceTransportPolicy": "all"},
            "data_channels": [
                {"label": label, "direction": MANAGED.get(label, "sendrecv"), "compress": compress}
                for label, compress in labels.items()
            ],
        }  # fmt: skip
        if role != "recvonly":
            offer["mid"] = {transceiver.kind: transceiver.mid for transceiver in self.pc.getTransceivers()}
        await self.socket.send_json(offer)

    def open_label(self, label: str) -> None:
        """Creates a data channel and listens to it."""
        channel = self.channels[label] = self.pc.createDataChannel(label)
        channel.on("message", lambda data: self.on_label(label, data))

    def on_state(self) -> None:
        self.log.append(self.pc.connectionState)
        if self.pc.connectionState == "connected" and not self.connected.is_set():
            self.connected.set()
            self.spawn(self.live())
        elif self.pc.connectionState in ("closed", "failed"):
            self.ended.set()

    def on_label(self, label: str, data: str | bytes) -> None:
        """A message from the client."""
        raw = data.encode() if isinstance(data, str) else data
        body = zlib.decompress(raw) if self.compress[label] else raw
        if label.startswith("#"):
            self.messages.append(body)
            self.post(label, b"server:%d:" % len(self.messages) + media.PAYLOAD_TAIL)
        elif label == "signaling":
            self.spawn(self.on_signaling(json.loads(body), over_label=True))

    async def on_signaling(self, message: dict[str, Any], over_label: bool = False) -> None:
        """One signaling message, by either way."""
        kind = message.get("type")
        self.log.append(f"{'dc' if over_label else 'ws'} {kind}")
        if kind == "connect":
            await self.on_connect(message)
        elif kind in ("answer", "re-answer"):
            self.answers.put_nowait(message["sdp"])
            if kind == "answer":
                await self.accept(await self.answers.get())
        elif kind == "candidate" and message.get("candidate"):
            candidate = candidate_from_sdp(message["candidate"].removeprefix("candidate:"))
            candidate.sdpMLineIndex = 0
            await self.pc.addIceCandidate(candidate)
        elif kind == "disconnect":
            if over_label:
                await self.close_labels()
            if not self.socket.closed:
                await self.socket.close(code=1000, message=b"TYPE-DISCONNECT")

    async def accept(self, sdp: str) -> None:
        """Gives an answer to aiortc."""
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def labels_open(self) -> None:
        """Waits for every data channel."""
        for channel in self.channels.values():
            opened = asyncio.Event()
            channel.on("open", opened.set)
            if channel.readyState != "open":
                await opened.wait()

    async def close_labels(self) -> None:
        """Closes every data channel and waits for the client's half, at most two seconds."""
        shut = [asyncio.Event() for _ in self.channels]
        for channel, event in zip(self.channels.values(), shut, strict=True):
            channel.on("close", event.set)
            channel.close()
        try:
            await asyncio.wait_for(asyncio.gather(*(event.wait() for event in shut)), 2)
        except TimeoutError:
            late = [label for label, channel in self.channels.items() if channel.readyState != "closed"]
            self.log.append(f"labels not closed: {' '.join(late)}")

    async def live(self) -> None:
        """What the server says once the connection stands."""
        role = self.connect["role"]
        created = {"type": "notify", "event_type": "connection.created", "role": role, "connection_id": self.id}
        await self.say("notify", {**created, "channel_connections": 1, "minutes": 0, "data": []})
        if self.channels:
            await self.labels_open()
            ignore = bool(self.connect.get("ignore_disconnect_websocket"))
            await self.say("", {"type": "switched", "ignore_disconnect_websocket": ignore})
            self.switched = True
        if self.connect["channel_id"].startswith("reoffer"):
            await self.add_and_remove()
        if role == "sendonly":
            while len(self.taken.video.times) < 75:
                await asyncio.sleep(0.05)
        # Tells a publisher that its audience has left, which ends it.
        if role == "sendonly" or self.connect["channel_id"].startswith("reoffer"):
            destroyed = {"type": "notify", "event_type": "connection.destroyed", "connection_id": self.other_id}
            await self.say("notify", {**destroyed, "channel_connections": 1, "minutes": 0})

    async def add_and_remove(self) -> None:
        """Re-offers with a second pair; when it has played, re-offers with its ports at 0."""
        first = {transceiver.mid for transceiver in self.pc.getTransceivers()}
        self.add_pair(self.second_id, send=True)
        await self.say("signaling", {"type": "re-offer", "sdp": await self.make_offer()})
        await self.accept(await self.answers.get())
        second = [transceiver for transceiver in self.pc.getTransceivers() if transceiver.mid not in first]
        tracks = [transceiver.sender.track for transceiver in second]
        while any(isinstance(track, Pictures) and track.count < SECOND_FRAMES for track in tracks):
            await asyncio.sleep(0.05)
        # aiortc cannot reject an m-line, so the text of the last offer is edited and its answer judged as text.
        self.version += 1
        sdp = rejected(next_version(self.sent_sdp, self.version), {str(transceiver.mid) for transceiver in second})
        await self.say("signaling", {"type": "re-offer", "sdp": sdp})
        answer = await self.answers.get()
        for transceiver in second:
            transceiver.sender.track.stop()
        ports = [line.split(" ")[1] for line in answer.splitlines() if line.startswith("m=")]
        self.log.append("rejected " + "".join("0" if port == "0" else "1" for port in ports))

    async def finish(self) -> None:
        """Ends what is left and prints the session's line."""
        if self.switched and self.connect.get("ignore_disconnect_websocket"):
            await asyncio.wait_for(self.ended.wait(), 60)
        for task in self.tasks:
            task.cancel()
        await self.pc.close()
        whole = sum(body.endswith(media.PAYLOAD_TAIL) for body in self.messages)
        line = {
            "event": "session", "channel_id": self.connect.get("channel_id"), **self.taken.result(), "log": self.log,
            "messages": len(self.messages), "messages_whole": whole,
            "connection_id": self.id, "streams": [self.other_id, self.second_id],
        }  # fmt: skip
        print(json.dumps(line), flush=True)


async def signaling(request: web.Request) -> web.WebSocketResponse:
    """One WebSocket, one session."""
    socket = web.WebSocketResponse(max_msg_size=1 << 20)
    await socket.prepare(request)
    session = Session(socket)
    try:
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await session.on_signaling(message.json())
    finally:
        await session.finish()
    return socket


async def main() -> None:
    """Serves until the process is ended."""
    application = web.Application()
    application.router.add_get("/signaling", signaling)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    print(json.dumps({"event": "ready", "url": f"ws://127.0.0.1:{port}/signaling"}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
