"""One peer of an interoperability test: publishes or receives through the public sora_sdk API, then reports in JSON.

The same script runs under our package and under the reference. It waits on events with deadlines only. A publisher
ends when the other connection has left, one that receives (receive, both) when it has received for --seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sora_sdk import (
    Sora,
    SoraAudioFrameTransformer,
    SoraAudioStreamSink,
    SoraVideoCodecImplementation,
    SoraVideoFrameTransformer,
    SoraVideoSink,
    create_video_codec_preference_from_implementation,
    get_video_codec_capability,
)

import peer_media as media

CONNECT_DEADLINE_S = 20.0
IDLE_DEADLINE_S = 30.0
OUTGOING = (
    "kind",
    "rid",
    "active",
    "framesEncoded",
    "encoderImplementation",
    "packetsSent",
    "targetBitrate",
    "frameWidth",
    "pliCount",
    "nackCount",
    "qualityLimitationReason",
)
ROLES = {"publish": "sendonly", "receive": "recvonly", "both": "sendrecv"}
CALLBACKS = ("on_set_offer", "on_notify", "on_switched", "on_ws_close", "on_data_channel", "on_message", "on_track")


def make_sora(openh264: str | None) -> Sora:
    """With a library for H.264, in the way 2025 asks for it: the library and a preference that names it."""
    if openh264 is None:
        return Sora()
    capability = get_video_codec_capability(openh264)
    preference = create_video_codec_preference_from_implementation(capability, SoraVideoCodecImplementation.INTERNAL)
    preference.merge(
        create_video_codec_preference_from_implementation(capability, SoraVideoCodecImplementation.CISCO_OPENH264)
    )
    return Sora(openh264=openh264, video_codec_preference=preference)


def cipher(kind: str) -> Any:
    """A transformer that encrypts what is clear and decrypts what is not. What servers look at stays in the clear."""
    made = SoraVideoFrameTransformer() if kind == "video" else SoraAudioFrameTransformer()
    clear = 10 if kind == "video" else 1

    def on_transform(frame: Any) -> None:
        data = frame.get_data().copy()
        data[clear:] ^= 0x5A
        frame.set_data(data)
        made.enqueue(frame)

    made.on_transform = on_transform
    return made


class Peer:
    """A connection with everything its callbacks delivered."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.order: list[str] = []
        self.ended: list[list[Any]] = []
        self.ws_close: list[list[Any]] = []
        self.open_labels: set[str] = set()
        self.messages: list[bytes] = []
        self.switched: list[str] = []
        self.connection_id = ""
        self.others: set[str] = set()
        self.video, self.sound = media.VideoTally(), list[Any]()
        self.frames_of: dict[str, int] = {}
        self.wide_since: float | None = None
        self.sinks: list[Any] = []
        self.transformers: list[Any] = []
        self.tracks: list[Any] = []
        self.identities: list[tuple[str, str, str]] = []
        self.created, self.disconnected, self.label_open = threading.Event(), threading.Event(), threading.Event()
        self.other_left, self.enough = threading.Event(), threading.Event()
        sora = make_sora(args.openh264)
        self.sora = sora
        self.publishes = args.role != "receive"
        sources: dict[str, Any] = {}
        if self.publishes:
            self.audio_source, self.video_source = (
                sora.create_audio_source(1, media.SAMPLE_RATE),
                sora.create_video_source(),
            )
            sources = {
                "audio_source": self.audio_source,
                "video_source": self.video_source,
                "video_codec_type": args.codec,
            }
            if args.encrypted:
                self.transformers = [cipher("audio"), cipher("video")]
                names = ("audio_frame_transformer", "video_frame_transformer")
                sources.update(zip(names, self.transformers, strict=True))
        arguments = {
            "signaling_urls": [args.url],
            "role": ROLES[args.role],
            "channel_id": args.channel,
            **sources,
            **self.mode_options(),
            **self.more_options(),
        }
        self.connection = sora.create_connection(**arguments)
        for name in CALLBACKS:
            setattr(self.connection, name, getattr(self, name))
        self.connection.on_disconnect = self.on_disconnect

    def mode_options(self) -> dict[str, Any]:
        """create_connection arguments for the signaling mode and the messaging label."""
        if self.args.mode == "ws":
            return {}
        options: dict[str, Any] = {
            "data_channel_signaling": True,
            "ignore_disconnect_websocket": self.args.mode == "dc",
        }
        if self.args.compress != "none":
            channel: dict[str, Any] = {
                "label": self.args.label,
                "direction": "sendrecv",
                "compress": self.args.compress == "true",
            }
            if self.args.header:
                channel["header"] = [{"type": "sender_connection_id"}]
            options["data_channels"] = [channel]
        return options

    def more_options(self) -> dict[str, Any]:
        """What --more adds; a certificate given as {"pem_of": PATH} is handed over as its content."""
        read = lambda value: (
            Path(value["pem_of"]).read_bytes() if isinstance(value, dict) and "pem_of" in value else value
        )
        return {name: read(value) for name, value in json.loads(self.args.more).items()}

    def note(self, name: str) -> None:
        """Keeps the order of callbacks, each run of the same one as one entry."""
        if not self.order or self.order[-1] != name:
            self.order.append(name)

    def on_set_offer(self, text: str) -> None:
        self.note("on_set_offer")
        self.connection_id = json.loads(text)["connection_id"]

    def on_notify(self, text: str) -> None:
        self.note("on_notify")
        message = json.loads(text)
        event, who = message.get("event_type"), message.get("connection_id")
        if event == "connection.created":
            self.others.update(entry["connection_id"] for entry in message.get("data", []))
            if who != self.connection_id:
                self.others.add(who)
            self.created.set()
        elif event == "connection.destroyed" and who != self.connection_id:
            self.others.discard(who)
            self.other_left.set()

    def on_switched(self, text: str) -> None:
        self.note("on_switched")
        self.switched.append(text)

    def on_ws_close(self, code: int, reason: str) -> None:
        self.note("on_ws_close")
        self.ws_close.append([int(code), reason])

    def on_data_channel(self, label: str) -> None:
        self.note("on_data_channel")
        self.open_labels.add(label)
        if label == self.args.label:
            self.label_open.set()

    def on_message(self, label: str, data: bytes) -> None:
        self.note("on_message")
        self.messages.append(bytes(data))

    def on_track(self, track: Any) -> None:
        self.note("on_track")
        self.tracks.append(track)
        # Read now: the reference aborts the process when an ended track is asked for its stream id.
        self.identities.append((track.kind, track.id, track.stream_id))
        if self.args.encrypted:
            self.transformers.append(cipher(track.kind))
            track.set_frame_transformer(self.transformers[-1])
        if track.kind == "video":
            sink = SoraVideoSink(track)
            sink.on_frame = partial(self.on_video, track.id)
        else:
            sink = SoraAudioStreamSink(track, media.SAMPLE_RATE, 1)
            sink.on_frame = partial(self.on_audio, track.id)
        self.sinks.append(sink)

    def on_video(self, track_id: str, frame: Any) -> None:
        now = time.monotonic()
        self.frames_of[track_id] = self.frames_of.get(track_id, 0) + 1
        picture = frame.data()
        self.video.add(picture, now)
        if picture.shape[1] == (self.args.width_wanted or picture.shape[1]):
            self.wide_since = self.wide_since or now
        else:
            self.wide_since = None
        if self.wide_since and now - self.wide_since >= self.args.seconds:
            self.enough.set()

    def on_audio(self, track_id: str, frame: Any) -> None:
        self.frames_of[track_id] = self.frames_of.get(track_id, 0) + 1
        self.sound.append(np.array(frame.data()[:, 0], copy=True))

    def on_disconnect(self, code: Any, text: str) -> None:
        self.note("on_disconnect")
        self.ended.append([code.name, text])
        for event in (self.disconnected, self.created, self.other_left, self.enough, self.label_open):
            event.set()

    def talk(self, stop: threading.Event) -> None:
        """Sends a message every 200 ms from when the label is open."""
        self.label_open.wait(CONNECT_DEADLINE_S)
        number = 0
        while not stop.wait(0.2):
            self.connection.send_data_channel(self.args.label, media.payload(self.args.role, number))
            number += 1

    def publish(self, stop: threading.Event) -> None:
        """Sends pictures at 30 Hz and sound in 10 ms blocks on one absolute schedule until `stop`."""
        draw = media.halves if self.args.picture == "halves" else media.moving_picture
        begin = time.monotonic()
        frames = blocks = 0
        while not stop.is_set():
            now = time.monotonic() - begin
            while blocks * media.BLOCK_SAMPLES / media.SAMPLE_RATE <= now:
                self.audio_source.on_data(media.tone(blocks))
                blocks += 1
            if frames / media.FRAME_RATE <= now:
                self.video_source.on_captured(draw(frames))
                frames += 1
            stop.wait(0.005)

    def run(self) -> int:
        """Connects, works, disconnects, prints one JSON line. Returns the exit code."""
        stop = threading.Event()
        self.connection.connect()
        if not self.created.wait(self.args.connect_deadline) or self.ended:
            print(json.dumps({"event": "refused", "on_disconnect": self.ended}), flush=True)
            print(f"not connected: {self.ended or 'no connection.created'}", file=sys.stderr)
            return 1
        print(json.dumps({"event": "connected"}), flush=True)
        workers = [threading.Thread(target=self.publish, args=(stop,))] if self.publishes else []
        if self.args.compress != "none":
            workers.append(threading.Thread(target=self.talk, args=(stop,)))
        for worker in workers:
            worker.start()
        until = self.args.until or ("left" if self.args.role == "publish" else "enough")
        if until == "time":
            waited = not self.disconnected.wait(self.args.seconds)
        else:
            waited = (self.other_left if until == "left" else self.enough).wait(self.args.seconds + IDLE_DEADLINE_S)
        deadline = time.monotonic() + CONNECT_DEADLINE_S
        while sum(track.state.name == "ENDED" for track in self.tracks) < self.args.ended_tracks:
            # There is no callback for a track's end; its state is the only sign.
            if self.disconnected.wait(0.05) or time.monotonic() > deadline:
                break
        if not waited:
            print("deadline passed before the end of the test", file=sys.stderr)
        stop.set()
        for worker in workers:
            worker.join()
        states = [track.state.name for track in self.tracks]
        stats = json.loads(self.connection.get_stats())
        self.connection.disconnect()
        self.disconnected.wait(10)
        print(json.dumps(self.result(stats, states)), flush=True)
        return 0 if waited else 1

    def result(self, stats: list[dict[str, Any]], states: list[str]) -> dict[str, Any]:
        """Everything a test asks about."""
        head = 26 if self.args.header else 0
        mono = np.concatenate(self.sound)[-2 * media.SAMPLE_RATE :] if self.sound else np.zeros(0, np.int16)
        bodies = [message[head:] for message in self.messages]
        return {
            "event": "result",
            **self.video.result(),
            "audio_hz": media.dominant_hz(mono),
            "audio_peak": int(np.abs(mono.astype(np.int32)).max()) if mono.size else 0,
            "messages": len(bodies),
            "messages_whole": sum(body.endswith(b":" + media.PAYLOAD_TAIL) for body in bodies),
            "message_heads": sorted({body.split(b":")[0].decode("utf-8", "replace")[:40] for body in bodies}),
            "message_senders": sorted({message[:head].decode("ascii", "replace") for message in self.messages}),
            "connection_id": self.connection_id,
            "labels": sorted(self.open_labels),
            "switched": self.switched,
            "callbacks": self.order,
            "on_disconnect": self.ended,
            "on_ws_close": self.ws_close,
            "tracks": [
                {"kind": kind, "stream_id": stream_id, "state": state, "frames": self.frames_of.get(track_id, 0)}
                for (kind, track_id, stream_id), state in zip(self.identities, states, strict=True)
            ],
            "track_states": [
                [identity[0], track.state.name] for identity, track in zip(self.identities, self.tracks, strict=True)
            ],
            "stats_types": sorted({entry["type"] for entry in stats}),
            "outgoing": [
                {key: entry.get(key) for key in OUTGOING} for entry in stats if entry["type"] == "outbound-rtp"
            ],
            "local_candidate_types": sorted(
                {entry.get("candidateType", "") for entry in stats if entry["type"] == "local-candidate"}
            ),
            "available_bit_rate": [
                entry.get("availableOutgoingBitrate") for entry in stats if entry["type"] == "candidate-pair"
            ],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--role", choices=list(ROLES), required=True)
    parser.add_argument("--codec", default="VP8")
    parser.add_argument("--mode", choices=["ws", "hybrid", "dc"], default="ws")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--compress", choices=["none", "true", "false"], default="none", help="messages on --label")
    parser.add_argument("--label", default="#test")
    parser.add_argument("--until", choices=["enough", "left", "time"], help="its end: left if it publishes")
    parser.add_argument("--ended-tracks", type=int, default=0, help="wait for so many tracks to end before leaving")
    parser.add_argument("--header", action="store_true", help="ask for the sender's connection id before each message")
    parser.add_argument("--picture", choices=["moving", "halves"], default="moving")
    parser.add_argument("--connect-deadline", type=float, default=CONNECT_DEADLINE_S)
    parser.add_argument("--openh264", help="library for H.264")
    parser.add_argument("--size", default="640x480", help="of the pictures to publish")
    parser.add_argument("--width-wanted", type=int, help="--seconds counts from when pictures are so wide")
    parser.add_argument("--encrypted", action="store_true", help="encrypt what is sent, decrypt what comes")
    parser.add_argument("--more", default="{}", help="more arguments of create_connection, as JSON")
    args = parser.parse_args()
    media.WIDTH, media.HEIGHT = (int(side) for side in args.size.split("x"))
    return Peer(args).run()


if __name__ == "__main__":
    sys.exit(main())
