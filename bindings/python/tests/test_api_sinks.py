"""The sinks and what they give: SoraAudioSink, SoraAudioFrame, SoraAudioStreamSink, SoraVAD, SoraVideoFrame,
SoraVideoSink, in the order of the documentation. More about sound: test_audio.py; about SoraVAD: test_vad.py."""

from __future__ import annotations

import pickle
import queue
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Client, Feeder, picture, tone
from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioSink,
    SoraAudioStreamSink,
    SoraMediaTrack,
    SoraVAD,
    SoraVideoFrame,
    SoraVideoSink,
    sora_sdk_ext,
)

MakeClient = Callable[..., Client]


def test_audio_sink_arguments_and_defaults() -> None:
    source = Sora().create_audio_source(2, 24_000)
    sinks = [SoraAudioSink(source), SoraAudioSink(track=source, output_frequency=-1, output_channels=0)]
    source.on_data(np.repeat(tone(0, 240, 24_000), 2, axis=1))
    for sink in sinks:
        ok, data = sink.read()
        assert ok
        assert data is not None
        assert data.shape == (240, 2), "as received"


def test_audio_sink_read() -> None:
    source = Sora().create_audio_source(1, 48_000)
    sink = SoraAudioSink(track=source, output_frequency=16_000, output_channels=1)
    assert sink.read(frames=160, timeout=0) == (False, None)
    source.on_data(tone(0, 4_800))
    success, data = sink.read(160)
    assert success is True
    assert isinstance(data, np.ndarray)
    assert (data.shape, data.dtype) == ((160, 1), np.int16)
    success, data = sink.read()
    assert success
    assert data is not None
    assert len(data) > 160, "frames=0 is all there is"
    assert sink.read() == (False, None)


def test_audio_sink_on_data_and_on_format() -> None:
    source = Sora().create_audio_source(1, 48_000)
    sink = SoraAudioSink(source, 24_000, 2)
    formats: queue.Queue[tuple[int, int]] = queue.Queue()
    sounds: queue.Queue[Any] = queue.Queue()
    sink.on_format = lambda sample_rate, number_of_channels: formats.put((sample_rate, number_of_channels))
    sink.on_data = sounds.put
    source.on_data(tone(0, 4_800))
    assert formats.get(timeout=10) == (24_000, 2)
    data = sounds.get(timeout=10)
    assert (data.shape, data.dtype) == ((240, 2), np.int16)


def test_audio_sink_as_the_documentation_shows(make_client: MakeClient) -> None:
    ready = threading.Event()
    sinks: list[SoraAudioSink] = []

    def on_track(track: SoraMediaTrack) -> None:
        if track.kind == "audio":
            sinks.append(SoraAudioSink(track=track, output_frequency=16000, output_channels=1))
            ready.set()

    audio = Sora().create_audio_source(1, 48_000)
    make_client("sendonly", audio_source=audio, video=False).connect()
    receiver = make_client("recvonly")
    receiver.connection.on_track = on_track
    receiver.connect()
    assert ready.wait(10)
    with Feeder(None, audio):
        success, data = sinks[0].read(8_000, 10)
    assert success
    assert data is not None
    assert data.shape == (8_000, 1)
    assert np.abs(data).max() > 3_000


def audio_frame() -> SoraAudioFrame:
    source = Sora().create_audio_source(2, 48_000)
    frames: queue.Queue[SoraAudioFrame] = queue.Queue()
    sink = SoraAudioStreamSink(source)
    sink.on_frame = frames.put
    source.on_data(np.repeat(tone(0, 480), 2, axis=1), 12.5)
    return frames.get(timeout=10)


def test_audio_frame_data_and_properties() -> None:
    frame = audio_frame()
    assert isinstance(frame, SoraAudioFrame)
    data = frame.data()
    assert (data.shape, data.dtype) == ((480, 2), np.int16)
    assert frame.data() is data, "a reference to the frame's data"
    assert (frame.samples_per_channel, frame.num_channels, frame.sample_rate_hz) == (480, 2, 48_000)
    assert frame.absolute_capture_timestamp_ms == 12_500
    for name in ("samples_per_channel", "num_channels", "sample_rate_hz", "absolute_capture_timestamp_ms"):
        with pytest.raises(AttributeError):
            setattr(frame, name, 1)


def test_audio_frame_without_a_capture_time_has_none() -> None:
    source = Sora().create_audio_source(1, 48_000)
    frames: queue.Queue[SoraAudioFrame] = queue.Queue()
    sink = SoraAudioStreamSink(source)
    sink.on_frame = frames.put
    source.on_data(tone(0, 480))
    assert frames.get(timeout=10).absolute_capture_timestamp_ms is None


def test_audio_frames_are_picklable() -> None:
    frame = audio_frame()
    again = pickle.loads(pickle.dumps(frame))
    assert np.array_equal(again.data(), frame.data())


def test_audio_stream_sink_gives_ten_milliseconds_in_the_format_asked_for() -> None:
    source = Sora().create_audio_source(2, 48_000)
    frames: queue.Queue[SoraAudioFrame] = queue.Queue()
    sink = SoraAudioStreamSink(track=source, output_frequency=24_000, output_channels=1)
    sink.on_frame = frames.put
    source.on_data(np.repeat(tone(0, 4_800), 2, axis=1))
    for _ in range(9):
        frame = frames.get(timeout=10)
        assert (frame.samples_per_channel, frame.num_channels, frame.sample_rate_hz) == (240, 1, 24_000)


def test_vad_analyze_gives_a_probability() -> None:
    probability = SoraVAD().analyze(frame=audio_frame())
    assert isinstance(probability, float)
    assert 0 <= probability <= 1


def test_video_frame_data() -> None:
    source = Sora().create_video_source()
    frames: queue.Queue[SoraVideoFrame] = queue.Queue()
    sink = SoraVideoSink(track=source)
    sink.on_frame = frames.put
    source.on_captured(picture(0, 322, 242))
    frame = frames.get(timeout=10)
    assert isinstance(frame, SoraVideoFrame)
    data = frame.data()
    assert (data.shape, data.dtype) == ((242, 322, 3), np.uint8), "height x width x BGR"
    assert data.flags.c_contiguous, "as cv2.imshow wants it"
    assert frame.data() is data
    assert np.abs(data.astype(int) - picture(0, 322, 242)).mean() < 4


def test_video_frames_are_picklable() -> None:
    frames: queue.Queue[SoraVideoFrame] = queue.Queue()
    source = Sora().create_video_source()
    sink = SoraVideoSink(source)
    sink.on_frame = frames.put
    source.on_captured(picture(0, 322, 242))
    frame = frames.get(timeout=10)
    frame.data()[:10] = 7
    again = pickle.loads(pickle.dumps(frame))
    assert isinstance(again, SoraVideoFrame) and repr(again) == repr(frame) == "<video frame 322x242>"
    assert np.array_equal(again.data(), frame.data()) and again.data().flags.writeable
    assert np.array_equal(pickle.loads(pickle.dumps(again)).data(), frame.data())
    for shape in [(2, 2, 4), (0, 2, 3), (2, 0, 3)]:
        with pytest.raises(TypeError, match="height, width, 3"):
            sora_sdk_ext._video_frame(np.zeros(shape, np.uint8))


def test_video_sink_as_the_documentation_shows(make_client: MakeClient) -> None:
    frames: queue.Queue[SoraVideoFrame] = queue.Queue()
    sinks: list[SoraVideoSink] = []
    threads: set[int] = set()

    def on_frame(frame: SoraVideoFrame) -> None:
        threads.add(threading.get_ident())
        frames.put(frame)

    def on_track(track: SoraMediaTrack) -> None:
        if track.kind == "video":
            sink = SoraVideoSink(track=track)
            sink.on_frame = on_frame
            sinks.append(sink)

    video = Sora().create_video_source()
    make_client("sendonly", video_source=video, audio=False).connect()
    receiver = make_client("recvonly")
    receiver.connection.on_track = on_track
    receiver.connect()
    with Feeder(video, None):
        assert frames.get(timeout=10).data().shape == (240, 320, 3)
    assert threading.main_thread().ident not in threads
