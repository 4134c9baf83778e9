"""numpy to numpy through the development server."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Client, Feeder, picture, tone, wait_until

from sora_sdk import (
    Sora,
    SoraAudioSink,
    SoraAudioStreamSink,
    SoraSignalingErrorCode,
    SoraTrackState,
    SoraVideoSink,
)

MakeClient = Callable[..., Client]
MODES = {
    "websocket": {},
    "hybrid": {"data_channel_signaling": True},
    "data_channel": {"data_channel_signaling": True, "ignore_disconnect_websocket": True},
}


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_pictures_and_sound_arrive(make_client: MakeClient, codec: str) -> None:
    sora = Sora()
    video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
    make_client("sendonly", sora, video_source=video, audio_source=audio, video_codec_type=codec).connect()
    receiver = make_client("recvonly").connect()
    frames: list[np.ndarray] = []
    sound: list[np.ndarray] = []
    wait_until(lambda: len(receiver.tracks) == 2, "two tracks")
    assert [track.kind for track in receiver.tracks] == ["audio", "video"]
    stream = SoraAudioStreamSink(receiver.tracks[0], 24_000, 1)
    stream.on_frame = lambda frame: sound.append(frame.data().copy())
    pictures = SoraVideoSink(receiver.tracks[1])
    pictures.on_frame = lambda frame: frames.append(frame.data())
    with Feeder(video, audio):
        wait_until(lambda: len(frames) >= 20 and len(sound) >= 150, "pictures and sound")
    assert frames[-1].shape == (240, 320, 3)
    assert frames[-1].dtype == np.uint8
    assert frames[-1].flags.owndata or frames[-1].base is not None
    assert np.ptp(frames[-1][:, :, 0]) > 100
    heard = np.concatenate(sound[50:150])[:, 0].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert np.argmax(spectrum) * 24_000 / heard.size == pytest.approx(440, rel=0.02)
    stats = {s["type"]: s for s in json.loads(receiver.connection.get_stats()) if s.get("kind", "video") == "video"}
    assert stats["inbound-rtp"]["framesDecoded"] >= 20
    assert stats["inbound-rtp"]["decoderImplementation"] == "libvpx"


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_ends_cleanly_and_calls_back_in_order(make_client: MakeClient, mode: str) -> None:
    client = make_client("sendrecv", **MODES[mode]).connect()
    if mode != "websocket":
        wait_until(lambda: client.named("on_switched"), "switched")
        labels = [label for (label,) in client.named("on_data_channel")]
        assert sorted(labels) == ["notify", "push", "rpc", "signaling", "stats"]
    client.connection.disconnect()
    texts = {
        "websocket": "Succeeded to close WebSocket (DC signaling is not enabled)",
        "hybrid": "Succeeded to close Websocket (DC signaling is enabled)",
        "data_channel": "Succeeded to close DataChannel",
    }
    assert client.named("on_disconnect") == [(SoraSignalingErrorCode.CLOSE_SUCCEEDED, texts[mode])]
    closed = (1000, "SELF-CLOSED") if mode == "data_channel" else (1000, "TYPE-DISCONNECT")
    assert client.named("on_ws_close") == [closed]
    assert client.events[-1][0] == "on_disconnect"
    names = [name for name, _ in client.events if name in ("on_set_offer", "on_notify", "on_disconnect")]
    assert names[0] == "on_set_offer"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("mode", ["hybrid", "data_channel"])
def test_messages_pass_between_clients(make_client: MakeClient, mode: str, compress: bool) -> None:
    channels = [{"label": "#chat", "direction": "sendrecv", "compress": compress}]
    one, two = (make_client("sendrecv", data_channels=channels, **MODES[mode]).connect() for _ in range(2))
    for client in (one, two):
        wait_until(lambda c=client: ("#chat",) in c.named("on_data_channel"), "#chat")
    messages = [b"hello", b"", "日本語\0".encode(), bytes(range(256)) * 900]
    for message in messages:
        assert one.connection.send_data_channel("#chat", message)
    assert two.connection.send_data_channel("#chat", b"back")
    wait_until(lambda: len(two.named("on_message")) == len(messages), "all messages")
    wait_until(lambda: one.named("on_message"), "the answer")
    assert [data for _, data in two.named("on_message")] == messages
    assert one.named("on_message") == [("#chat", b"back")]


def test_a_header_names_the_sender(make_client: MakeClient) -> None:
    def options(**extra: object) -> dict[str, object]:
        return {"data_channel_signaling": True, "data_channels": [{"label": "#chat", "direction": "sendrecv", **extra}]}

    sender = make_client("sendrecv", **options()).connect()
    receiver = make_client("sendrecv", **options(header=[{"type": "sender_connection_id"}])).connect()
    for client in (sender, receiver):
        wait_until(lambda c=client: ("#chat",) in c.named("on_data_channel"), "#chat")
    assert sender.connection.send_data_channel("#chat", b"hi")
    wait_until(lambda: receiver.named("on_message"), "the message")
    assert receiver.named("on_message") == [("#chat", sender.connection_id.encode() + b"hi")]


def test_messages_that_cannot_be_sent_are_refused(make_client: MakeClient) -> None:
    channels = [{"label": "#chat", "direction": "sendrecv"}]
    client = make_client("sendrecv", data_channel_signaling=True, data_channels=channels)
    assert not client.connection.send_data_channel("#chat", b"before connect")
    client.connect()
    wait_until(lambda: ("#chat",) in client.named("on_data_channel"), "#chat")
    assert client.connection.send_data_channel("#chat", b"x" * 262_144)
    assert not client.connection.send_data_channel("#chat", b"x" * 262_145)
    assert not client.connection.send_data_channel("#other", b"x")
    assert not client.connection.send_data_channel("signaling", b"x")
    with pytest.raises(TypeError):
        client.connection.send_data_channel("#chat", "text")  # type: ignore[arg-type]
    client.connection.disconnect()
    assert not client.connection.send_data_channel("#chat", b"after")
    assert client.connection.get_stats() == "[]"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_three_participants_come_and_go_in_every_order(make_client: MakeClient, order: tuple[int, ...]) -> None:
    sora = Sora()
    video = sora.create_video_source()
    audio = sora.create_audio_source(1, 48_000)
    clients = [
        make_client("sendrecv", sora, video_source=video, audio_source=audio, video_codec_type="VP8"),
        make_client("sendonly", sora, video_source=video, audio=False, video_codec_type="VP8"),
        make_client("recvonly"),
    ]
    sends = [2, 1, 0]
    with Feeder(video, audio):
        for count, index in enumerate(order, start=1):
            clients[index].connect()
            created = clients[index].notified("connection.created")
            own = next(m for m in created if m["connection_id"] == clients[index].connection_id)
            assert own["channel_connections"] == count
            assert len(own["data"]) == count - 1
        for index in (0, 2):
            expected = sum(sends) - sends[index]
            wait_until(lambda i=index, n=expected: len(clients[i].tracks) == n, f"{expected} tracks")
            others = {c.connection_id for i, c in enumerate(clients) if i != index and sends[i]}
            assert {track.stream_id for track in clients[index].tracks} == others
        assert clients[1].tracks == []
        for left, index in enumerate(order, start=1):
            leaving = clients[index]
            leaving.connection.disconnect()
            assert all(track.state == SoraTrackState.ENDED for track in leaving.tracks)
            for other in order[left:]:
                client = clients[other]

                def told(c: Client = client) -> bool:
                    gone = c.notified("connection.destroyed")
                    return any(m["connection_id"] == leaving.connection_id for m in gone)

                wait_until(told, "connection.destroyed")
                assert client.notified("connection.destroyed")[-1]["channel_connections"] == 3 - left
                if other != 1:
                    ended = [t for t in client.tracks if t.stream_id == leaving.connection_id]
                    wait_until(lambda e=ended: all(t.state == SoraTrackState.ENDED for t in e), "ended tracks")
                    remaining = {c.connection_id for c in (clients[i] for i in order[left:])}
                    live = {t.stream_id for t in client.tracks if t.state == SoraTrackState.LIVE}
                    assert live <= remaining


def test_a_slow_subscriber_neither_grows_nor_delays_another(make_client: MakeClient) -> None:
    sora = Sora()
    video = sora.create_video_source()
    make_client("sendonly", sora, video_source=video, audio=False, video_codec_type="VP8").connect()
    slow, fast = (make_client("recvonly").connect() for _ in range(2))
    wait_until(lambda: slow.tracks and fast.tracks, "tracks")
    counts = {"slow": 0, "fast": 0}
    pause = threading.Event()

    def on_slow(_: object) -> None:
        counts["slow"] += 1
        pause.wait(0.2)

    def on_fast(_: object) -> None:
        counts["fast"] += 1

    slow_sink, fast_sink = SoraVideoSink(slow.tracks[0]), SoraVideoSink(fast.tracks[0])
    slow_sink.on_frame = on_slow
    fast_sink.on_frame = on_fast
    with Feeder(video, None) as feeder:
        wait_until(lambda: counts["fast"] >= 60, "60 pictures for the fast one")
        sent = feeder.frames
    assert counts["fast"] >= 60
    assert counts["slow"] <= sent * 0.02 / 0.2 + 5
    pause.set()


def test_a_track_can_be_read_from_a_buffer(make_client: MakeClient) -> None:
    sora = Sora()
    audio = sora.create_audio_source(2, 16_000)
    make_client("sendonly", sora, audio_source=audio, video=False).connect()
    receiver = make_client("recvonly").connect()
    wait_until(lambda: receiver.tracks, "the track")
    sink = SoraAudioSink(receiver.tracks[0], 16_000, 1)
    stop = threading.Event()

    def feed() -> None:
        position = 0
        while not stop.wait(0.01):
            audio.on_data(np.repeat(tone(position, 160, 16_000), 2, axis=1))
            position += 160

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        ok, data = sink.read(8_000, timeout=10)
    finally:
        stop.set()
        thread.join()
    assert ok
    assert data is not None
    assert data.shape == (8_000, 1)
    assert data.dtype == np.int16
    assert np.abs(data[4_000:]).max() > 3_000


def test_a_received_track_is_sent_on(make_client: MakeClient, channel: str) -> None:
    video, audio = Sora().create_video_source(), Sora().create_audio_source(1, 48_000)
    make_client("sendonly", video_source=video, audio_source=audio).connect()
    middle = make_client("recvonly").connect()
    wait_until(lambda: len(middle.tracks) == 2, "the tracks")
    by_kind = {track.kind: track for track in middle.tracks}
    onward = f"{channel}-onward"
    make_client("sendonly", channel_id=onward, video_source=by_kind["video"], audio_source=by_kind["audio"]).connect()
    last = make_client("recvonly", channel_id=onward).connect()
    wait_until(lambda: len(last.tracks) == 2, "the tracks that are sent on")
    sounds, pictures = [], []
    for track in last.tracks:
        if track.kind == "audio":
            hear = SoraAudioStreamSink(track)
            hear.on_frame = sounds.append
        else:
            see = SoraVideoSink(track)
            see.on_frame = pictures.append
    with Feeder(video, audio):
        wait_until(lambda: len(pictures) >= 20, "the pictures")
        wait_until(lambda: any(np.abs(frame.data()).max() > 3_000 for frame in list(sounds)[-20:]), "the sound")
    assert pictures[-1].data().shape == (240, 320, 3)
    assert np.abs(pictures[-1].data().astype(int).mean() - picture(0).mean()) < 12
