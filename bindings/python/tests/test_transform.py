"""Encoded frames that programs see and change on their way."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Client, Feeder, tone, wait_until

from sora_sdk import (
    Sora,
    SoraAudioFrameTransformer,
    SoraAudioStreamSink,
    SoraConnection,
    SoraFrameTransformer,
    SoraMediaTrack,
    SoraTrackInterface,
    SoraTransformableAudioFrame,
    SoraTransformableAudioFrameType,
    SoraTransformableFrame,
    SoraTransformableFrameDirection,
    SoraTransformableVideoFrame,
    SoraVideoFrameTransformer,
    SoraVideoSink,
)

MakeClient = Callable[..., Client]
Frame = SoraTransformableVideoFrame
#: What servers and packetizers may look at stays in the clear.
CLEAR = 10


def cipher(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    changed = data.copy()
    changed[CLEAR:] ^= 0x5A
    return changed


def transformer(change: Callable[[Any], object]) -> SoraVideoFrameTransformer:
    """One that lets every frame go on that `change` does not keep by returning False."""
    made = SoraVideoFrameTransformer()

    def on_transform(frame: Frame) -> None:
        if change(frame) is not False:
            made.enqueue(frame)

    made.on_transform = on_transform
    return made


def sound_transformer(change: Callable[[Any], object]) -> SoraAudioFrameTransformer:
    made = SoraAudioFrameTransformer()

    def on_transform(frame: SoraTransformableAudioFrame) -> None:
        if change(frame) is not False:
            made.enqueue(frame)

    made.on_transform = on_transform
    return made


def encrypt(frame: SoraTransformableFrame) -> None:
    frame.set_data(cipher(frame.get_data()))


def publisher(
    make_client: MakeClient, codec: str = "VP8", sound: bool = False, **options: Any
) -> tuple[Client, Feeder]:
    sora = Sora()
    video = sora.create_video_source()
    audio = sora.create_audio_source(1, 48_000) if sound else None
    client = make_client(
        "sendonly", sora, video_source=video, audio_source=audio, audio=sound, video_codec_type=codec, **options
    )
    return client.connect(), Feeder(video, audio)


def receive(client: Client, kind: str = "video") -> tuple[SoraTrackInterface, list[Any], Any]:
    """The track, what comes out of it, and the sink that has to be kept."""
    wait_until(lambda: any(track.kind == kind for track in client.tracks), f"a track of {kind}")
    track = next(track for track in client.tracks if track.kind == kind)
    got: list[Any] = []
    sink: Any = SoraVideoSink(track) if kind == "video" else SoraAudioStreamSink(track, 48_000, 1)
    sink.on_frame = got.append
    return track, got, sink


@pytest.mark.parametrize("codec", ["VP8", "VP9"])
def test_what_the_sender_changes_the_receiver_changes_back(make_client: MakeClient, codec: str) -> None:
    sender, receiver = transformer(encrypt), transformer(encrypt)
    _, feeder = publisher(make_client, codec, video_frame_transformer=sender)
    client = make_client("recvonly").connect()
    track, pictures, _sink = receive(client)
    track.set_frame_transformer(receiver)  # type: ignore[attr-defined]
    with feeder:
        wait_until(lambda: len(pictures) >= 20, "pictures")
    assert pictures[-1].data().shape == (240, 320, 3)
    assert np.ptp(pictures[-1].data()[:, :, 0]) > 100


def is_the_wave(frame: Any) -> bool:
    """The picture that is sent is a wave: neighbours differ little, and the whole does a lot."""
    pattern = frame.data()[:, :, 0].astype(int)
    return bool(np.abs(np.diff(pattern, axis=1)).mean() < 3 and np.ptp(pattern) > 100)


def test_who_does_not_change_back_sees_nothing_of_the_picture(make_client: MakeClient) -> None:
    _, feeder = publisher(make_client, video_frame_transformer=transformer(encrypt))
    friend, stranger = make_client("recvonly").connect(), make_client("recvonly").connect()
    track, clear, _sink = receive(friend)
    track.set_frame_transformer(transformer(encrypt))  # type: ignore[attr-defined]
    _, scrambled, _other = receive(stranger)
    arrived: list[Frame] = []
    stranger.tracks[0].set_frame_transformer(transformer(arrived.append))
    with feeder:
        wait_until(lambda: len(clear) >= 30 and len(arrived) >= 30, "thirty pictures for both")
    assert all(is_the_wave(frame) for frame in clear)
    assert not any(is_the_wave(frame) for frame in scrambled)


def test_sound_is_changed_and_changed_back(make_client: MakeClient) -> None:
    silence = np.zeros(0, np.uint8)
    lost: list[int] = []

    def drop_some(frame: SoraTransformableAudioFrame) -> bool:
        lost.append(len(frame.get_data()))
        return len(lost) % 10 != 0

    def mark(frame: SoraTransformableAudioFrame) -> None:
        frame.set_data(np.concatenate([frame.get_data(), np.frombuffer(b"key", np.uint8), silence]))

    def unmark(frame: SoraTransformableAudioFrame) -> bool:
        data = frame.get_data().tobytes()
        assert data.endswith(b"key")
        frame.set_data(data[:-3])
        return drop_some(frame)

    _, feeder = publisher(make_client, sound=True, audio_frame_transformer=sound_transformer(mark))
    client = make_client("recvonly").connect()
    track, frames, _sink = receive(client, "audio")
    track.set_frame_transformer(sound_transformer(unmark))  # type: ignore[attr-defined]
    with feeder:
        wait_until(lambda: len(frames) >= 150 and len(lost) >= 70, "sound")
    heard = np.concatenate([frame.data()[:, 0] for frame in frames[50:150]]).astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size)))
    assert np.argmax(spectrum) * 48_000 / heard.size == pytest.approx(440, rel=0.02)


def test_what_is_known_of_a_picture(make_client: MakeClient) -> None:
    sent: list[dict[str, Any]] = []
    received: list[dict[str, Any]] = []

    def note(into: list[dict[str, Any]], frame: Frame) -> None:
        assert isinstance(frame, SoraTransformableVideoFrame)
        assert isinstance(frame, SoraTransformableFrame)
        data = frame.get_data()
        assert data.dtype == np.uint8
        assert data.ndim == 1
        assert not data.flags.writeable
        names = (
            "payload_type ssrc rtp_timestamp direction mine_type mime_type is_key_frame frame_id width height "
            "spatial_index temporal_index"
        ).split()
        into.append({name: getattr(frame, name) for name in names} | {"bytes": data.tobytes()})
        into[-1]["dependencies"] = frame.frame_dependencies.tolist()
        assert frame.contributing_sources.shape == (0,)
        assert frame.contributing_sources.dtype == np.uint32
        assert "video/VP8" in repr(frame)

    _, feeder = publisher(make_client, video_frame_transformer=transformer(lambda frame: note(sent, frame)))
    client = make_client("recvonly").connect()
    track, pictures, _sink = receive(client)
    track.set_frame_transformer(transformer(lambda frame: note(received, frame)))  # type: ignore[attr-defined]
    with feeder:
        wait_until(lambda: len(pictures) >= 10, "pictures")
    first = sent[0]
    assert first["direction"] is SoraTransformableFrameDirection.SENDER
    assert (first["mine_type"], first["mime_type"]) == ("video/VP8", "video/VP8")
    assert first["is_key_frame"]
    assert [frame["frame_id"] for frame in sent] == list(range(1, len(sent) + 1))
    assert all(frame["dependencies"] == ([] if frame["is_key_frame"] else [frame["frame_id"] - 1]) for frame in sent)
    assert (first["width"], first["height"]) == (320, 240)
    assert len({frame["ssrc"] for frame in sent}) == 1
    assert first["ssrc"] != 0
    assert received[0]["direction"] is SoraTransformableFrameDirection.RECEIVER
    assert {frame["payload_type"] for frame in received} == {first["payload_type"]}
    assert {frame["bytes"] for frame in received} <= {frame["bytes"] for frame in sent}
    assert received[0]["frame_id"] is None
    assert (received[0]["spatial_index"], received[0]["temporal_index"]) == (0, 0)


def test_what_is_known_of_sound(make_client: MakeClient) -> None:
    received: list[dict[str, Any]] = []

    def note(frame: SoraTransformableAudioFrame) -> None:
        names = (
            "sequence_number absolute_capture_timestamp type audio_level receive_time mime_type direction rtp_timestamp"
        ).split()
        received.append({name: getattr(frame, name) for name in names})
        assert frame.contributing_sources.shape == (0,)

    _, feeder = publisher(make_client, sound=True)
    client = make_client("recvonly").connect()
    wait_until(lambda: client.tracks, "a track")
    track = next(track for track in client.tracks if track.kind == "audio")
    track.set_frame_transformer(sound_transformer(note))
    with feeder:
        wait_until(lambda: len(received) >= 10, "sound that no sink takes")
    numbers = [frame["sequence_number"] for frame in received]
    assert np.all(np.diff(numbers) % 2**16 == 1)
    assert np.all(np.diff([frame["rtp_timestamp"] for frame in received]) % 2**32 == 960)
    assert {frame["type"] for frame in received} == {SoraTransformableAudioFrameType.SPEECH}
    assert {frame["mime_type"] for frame in received} == {"audio/opus"}
    assert {frame["direction"] for frame in received} == {SoraTransformableFrameDirection.RECEIVER}
    assert (received[0]["absolute_capture_timestamp"], received[0]["audio_level"]) == (None, None)
    assert np.all(np.diff([frame["receive_time"] for frame in received]) >= 0)


def test_pictures_that_no_sink_takes_are_seen_and_can_be_kept(make_client: MakeClient) -> None:
    kept: list[Frame] = []

    def keep(frame: Frame) -> bool:
        kept.append(frame)
        return False

    _, feeder = publisher(make_client)
    client = make_client("recvonly").connect()
    wait_until(lambda: client.tracks, "a track")
    client.tracks[0].set_frame_transformer(transformer(keep))
    with feeder:
        wait_until(lambda: len(kept) >= 30, "pictures")
    assert kept[0].is_key_frame
    # Who only records costs the sender no key frames.
    assert sum(frame.is_key_frame for frame in kept) <= 3
    assert all(len(frame.get_data()) > 0 for frame in kept)


@pytest.mark.parametrize("side", ["sender", "receiver"])
def test_pictures_go_on_with_a_key_frame_after_one_was_dropped(make_client: MakeClient, side: str) -> None:
    seen: list[bool] = []

    def drop_one(frame: Frame) -> bool:
        seen.append(frame.is_key_frame)
        return len(seen) != 10

    dropping = transformer(drop_one)
    _, feeder = publisher(make_client, video_frame_transformer=dropping if side == "sender" else None)
    client = make_client("recvonly").connect()
    track, pictures, _sink = receive(client)
    if side == "receiver":
        track.set_frame_transformer(dropping)  # type: ignore[attr-defined]
    with feeder:
        wait_until(lambda: len(seen) > 10 and any(seen[10:]), "a key frame")
        count = len(pictures)
        wait_until(lambda: len(pictures) > count + 10, "pictures after it")
    assert np.ptp(pictures[-1].data()[:, :, 0]) > 100


def test_short_circuited_frames_go_on_unseen(make_client: MakeClient) -> None:
    seen: list[Frame] = []
    watching = transformer(seen.append)
    _, feeder = publisher(make_client, video_frame_transformer=watching)
    client = make_client("recvonly").connect()
    _, pictures, _sink = receive(client)
    with feeder:
        wait_until(lambda: len(pictures) >= 5, "pictures")
        watching.start_short_circuiting()
        wait_until(lambda: len(pictures) >= len(seen) + 20, "pictures that were not seen")


def test_a_transformer_without_a_callback_lets_nothing_through_before_it_is_short_circuited(
    make_client: MakeClient,
) -> None:
    silent = SoraVideoFrameTransformer()
    assert silent.on_transform is None
    sender, feeder = publisher(make_client, video_frame_transformer=silent)
    client = make_client("recvonly").connect()
    _, pictures, _sink = receive(client)

    def stats() -> dict[str, Any]:
        outgoing = [one for one in json.loads(sender.connection.get_stats()) if one["type"] == "outbound-rtp"]
        video = next(one for one in outgoing if one["kind"] == "video")
        return {"framesEncoded": 0, "framesSent": 0, **video}

    with feeder:
        wait_until(lambda: stats()["framesEncoded"] >= 20, "twenty encoded pictures")
        assert (stats()["framesSent"], len(pictures)) == (0, 0)
        silent.start_short_circuiting()
        wait_until(lambda: len(pictures) >= 5, "pictures")
    assert silent.dropped == 0


def test_a_slow_callback_misses_the_oldest_and_says_how_many(make_client: MakeClient) -> None:
    go, taken = threading.Event(), threading.Event()

    def wait(frame: Frame) -> None:
        taken.set()
        go.wait(30)

    slow = transformer(wait)
    _, feeder = publisher(make_client, video_frame_transformer=slow)
    client = make_client("recvonly").connect()
    _, pictures, _sink = receive(client)
    with feeder:
        assert taken.wait(15)
        wait_until(lambda: slow.dropped >= 3, "frames that were dropped", limit=30)
        go.set()
        # The first picture was held up, and those behind it refer to some that are gone.
        wait_until(lambda: len(pictures) >= 20, "pictures after a key frame")
    assert all(is_the_wave(frame) for frame in pictures)


def test_a_picture_can_be_enqueued_later_on_another_thread_but_once(make_client: MakeClient) -> None:
    waiting: list[Frame] = []

    def keep(frame: Frame) -> bool:
        waiting.append(frame)
        return False

    sender = transformer(keep)
    _, feeder = publisher(make_client, video_frame_transformer=sender)
    client = make_client("recvonly").connect()
    _, pictures, _sink = receive(client)
    stop = threading.Event()

    def pass_on() -> None:
        while not stop.wait(0.002):
            while waiting:
                frame = waiting.pop(0)
                frame.rtp_timestamp = frame.rtp_timestamp
                sender.enqueue(frame)
                for touch in (frame.get_data, lambda frame=frame: sender.enqueue(frame)):
                    with pytest.raises(RuntimeError, match="on its way"):
                        touch()
                assert frame.ssrc != 0
                assert "on its way" in repr(frame)

    thread = threading.Thread(target=pass_on)
    thread.start()
    with feeder:
        wait_until(lambda: len(pictures) >= 20, "pictures")
    stop.set()
    thread.join()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_exception_drops_the_frame_and_nothing_else(make_client: MakeClient, monkeypatch: Any) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    seen: list[int] = []

    def fail(frame: Frame) -> None:
        seen.append(len(seen))
        if len(seen) < 5:
            raise ValueError("as it should")

    _, feeder = publisher(make_client, video_frame_transformer=transformer(fail))
    client = make_client("recvonly").connect()
    _, pictures, _sink = receive(client)
    with feeder:
        wait_until(lambda: len(pictures) >= 10, "pictures")
    assert len(reported) == 4
    assert isinstance(reported[0].exc_value, ValueError)


def test_what_is_no_transformer_is_refused(make_client: MakeClient) -> None:
    sound, pictures = SoraAudioFrameTransformer(), SoraVideoFrameTransformer()
    assert isinstance(sound, SoraFrameTransformer)
    for name, wrong in (("audio_frame_transformer", pictures), ("video_frame_transformer", sound)):
        with pytest.raises(TypeError, match=name):
            make_client("sendonly", **{name: wrong})
    _, feeder = publisher(make_client)
    client = make_client("recvonly").connect()
    with feeder:
        wait_until(lambda: client.tracks, "a track")
    for wrong in (sound, 1, "x"):
        with pytest.raises(TypeError, match="SoraVideoFrameTransformer"):
            client.tracks[0].set_frame_transformer(wrong)  # type: ignore[arg-type]
    client.tracks[0].set_frame_transformer(pictures)
    client.tracks[0].set_frame_transformer(None)
    with pytest.raises(TypeError):
        pictures.enqueue(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pictures.on_transform = 1  # type: ignore[assignment]
    pictures.on_transform = None
    with pytest.raises(TypeError):
        SoraTransformableVideoFrame()
    with pytest.raises(TypeError):
        SoraFrameTransformer()


def test_bytes_and_arrays_are_data_and_nothing_else(make_client: MakeClient) -> None:
    seen: list[str] = []

    def change(frame: SoraTransformableAudioFrame) -> None:
        data = frame.get_data()
        frame.set_data(data.tobytes())
        assert frame.get_data().tobytes() == data.tobytes()
        frame.set_data(data[::-1])
        assert frame.get_data().tobytes() == data[::-1].tobytes()
        frame.set_data(data)
        for wrong in (None, "text", 1, np.zeros((2, 2), np.uint8)):
            with pytest.raises(TypeError):
                frame.set_data(wrong)  # type: ignore[arg-type]
        with pytest.raises((OverflowError, TypeError)):
            frame.rtp_timestamp = -1
        seen.append("ok")

    source = Sora().create_audio_source(1, 48_000)
    sender = make_client(
        "sendonly", audio_source=source, video=False, audio_frame_transformer=sound_transformer(change)
    ).connect()
    assert sender.connection_id
    for number in range(200):
        source.on_data(tone(number * 960, 960))
        if len(seen) > 3:
            break
        threading.Event().wait(0.02)
    assert len(seen) > 3


@pytest.mark.parametrize("connected", [True, False])
def test_an_application_that_is_forgotten_is_freed_with_its_connection_and_transformer(
    url: str, channel: str, connected: bool
) -> None:
    class Application:
        def __init__(self) -> None:
            sora = Sora()
            self.transformer, self.kept = SoraVideoFrameTransformer(), list[Frame]()
            self.transformer.on_transform = self.on_transform
            self.received = SoraVideoFrameTransformer()
            self.received.on_transform = self.on_transform
            self.video = sora.create_video_source()
            self.connection = sora.create_connection(
                [url], "sendrecv", channel, video_source=self.video, video_frame_transformer=self.transformer
            )
            self.connection.on_track = self.on_track

        def on_track(self, track: SoraMediaTrack) -> None:
            self.track = track
            if track.kind == "video":
                track.set_frame_transformer(self.received)

        def on_transform(self, frame: Frame) -> None:
            self.kept.append(frame)

    def run() -> weakref.ref[Application]:
        application, other = Application(), Application()
        if connected:
            application.connection.connect()
            other.connection.connect()
            with Feeder(application.video, None):
                wait_until(lambda: len(application.kept) > 3, "frames")
            application.connection.disconnect()
            other.connection.disconnect()
        return weakref.ref(application)

    application = run()
    wait_until(lambda: gc.collect() is not None and application() is None, "the end of the application")


def test_two_threads_may_set_the_callback_at_once() -> None:
    for _ in range(50):
        made, barrier = SoraVideoFrameTransformer(), threading.Barrier(2)

        def set_it(made: Any = made, barrier: Any = barrier) -> None:
            barrier.wait(15)
            made.on_transform = print

        threads = [threading.Thread(target=set_it) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(15)
            assert not thread.is_alive()


def test_a_forgotten_transformer_works_while_its_track_lives_and_is_freed_with_it(url: str, channel: str) -> None:
    seen: list[int] = []
    gone = weakref.ref(transformer(lambda frame: seen.append(1)))
    gc.collect()
    assert gone() is None

    def forget() -> tuple[SoraConnection, Feeder, weakref.ref[SoraVideoFrameTransformer]]:
        sora, sender = Sora(), transformer(lambda frame: seen.append(1))
        video = sora.create_video_source()
        made = sora.create_connection([url], "sendonly", channel, video_source=video, video_frame_transformer=sender)
        return made, Feeder(video, None), weakref.ref(sender)

    connection, feeder, sender = forget()
    connection.connect()
    gc.collect()
    assert sender() is not None
    with feeder:
        wait_until(lambda: len(seen) > 5, "frames")
        gc.collect()
        count = len(seen)
        wait_until(lambda: len(seen) > count, "more frames")
    connection.disconnect()
    del connection
    wait_until(lambda: gc.collect() is not None and sender() is None, "the end of the transformer")
