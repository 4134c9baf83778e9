"""SoraAudioSource, SoraVideoSource, SoraTrackInterface and SoraMediaTrack, in the order of the documentation.

The forms of SoraAudioSource.on_data in detail: test_audio.py. What else is taken and refused: test_input.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Client, Feeder, picture, tone, wait_until

from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioSource,
    SoraAudioStreamSink,
    SoraMediaTrack,
    SoraTrackInterface,
    SoraTrackState,
    SoraVideoFrame,
    SoraVideoSink,
    SoraVideoSource,
)

MakeClient = Callable[..., Client]


def audio_forms() -> list[Callable[[SoraAudioSource, Any], None]]:
    return [
        lambda source, sound: source.on_data(sound),
        lambda source, sound: source.on_data(sound, time.time()),
        lambda source, sound: source.on_data(sound.ctypes.data, len(sound)),
        lambda source, sound: source.on_data(sound.ctypes.data, len(sound), time.time()),
    ]


@pytest.mark.parametrize("form", range(4))
def test_on_data_gives_sound(form: int) -> None:
    source = Sora().create_audio_source(2, 48_000)
    frames: list[SoraAudioFrame] = []
    sink = SoraAudioStreamSink(source)
    sink.on_frame = frames.append
    sound = np.repeat(tone(0, 480), 2, axis=1)
    assert audio_forms()[form](source, sound) is None
    wait_until(lambda: frames, "the sound")
    assert np.array_equal(frames[0].data(), sound)


@pytest.mark.parametrize("form", [{}, {"timestamp": 1_700_000_000.5}, {"timestamp_us": 1_700_000_000_500_000}])
def test_on_captured_gives_pictures(form: dict[str, Any]) -> None:
    source = Sora().create_video_source()
    frames: list[SoraVideoFrame] = []
    sink = SoraVideoSink(source)
    sink.on_frame = frames.append
    assert source.on_captured(picture(), **form) is None
    wait_until(lambda: frames, "the picture")
    assert np.abs(frames[0].data().astype(int) - picture()).mean() < 4


def test_on_captured_by_position_and_by_name() -> None:
    source: Any = Sora().create_video_source()
    for number in (1.5, 1, np.float32(1.5), np.float64(1.5), np.int64(1), float("nan"), -1, None):
        source.on_captured(picture(), number)
        source.on_captured(ndarray=picture(), timestamp=number)
    source.on_captured(ndarray=picture(), timestamp_us=np.int64(1_500_000))
    for wrong in ("1", [1]):
        with pytest.raises(TypeError):
            source.on_captured(picture(), wrong)
        with pytest.raises(TypeError):
            source.on_captured(picture(), timestamp=wrong)
    with pytest.raises(TypeError):
        source.on_captured(picture(), timestamp_us=1.5)
    with pytest.raises(TypeError, match="one of timestamp and timestamp_us"):
        source.on_captured(picture(), timestamp=1.5, timestamp_us=1)


def test_sources_are_tracks() -> None:
    sora = Sora()
    for source, kind in ((sora.create_audio_source(1, 48_000), "audio"), (sora.create_video_source(), "video")):
        assert isinstance(source, SoraTrackInterface)
        assert source.kind == kind
        assert isinstance(source.id, str)
        assert source.state is SoraTrackState.LIVE
    for cls in (SoraAudioSource, SoraVideoSource, SoraMediaTrack):
        assert issubclass(cls, SoraTrackInterface)
        with pytest.raises(TypeError):
            cls()


def test_set_enabled_tells_whether_it_changed_anything() -> None:
    source = Sora().create_video_source()
    assert source.enabled is True
    assert source.set_enabled(enable=False) is True
    assert source.enabled is False
    assert source.set_enabled(False) is False
    assert source.set_enabled(True) is True


def test_a_disabled_video_source_is_black() -> None:
    source = Sora().create_video_source()
    frames: list[SoraVideoFrame] = []
    sink = SoraVideoSink(source)
    sink.on_frame = frames.append
    source.set_enabled(False)
    source.on_captured(picture())
    wait_until(lambda: frames, "the picture")
    assert frames[0].data().max() <= 2


@pytest.mark.parametrize("name", ["enabled", "id", "kind", "state"])
def test_properties_are_readonly(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(Sora().create_video_source(), name, getattr(Sora().create_video_source(), name))


def test_a_media_track_lives_and_ends(make_client: MakeClient) -> None:
    video = Sora().create_video_source()
    sender = make_client("sendonly", video_source=video, audio=False).connect()
    receiver = make_client("recvonly").connect()
    wait_until(lambda: receiver.tracks, "the track")
    (track,) = receiver.tracks
    assert isinstance(track, SoraMediaTrack)
    assert isinstance(track, SoraTrackInterface)
    assert track.kind == "video"
    assert track.id == f"{sender.connection_id}-video"
    assert track.enabled is True
    assert track.state is SoraTrackState.LIVE
    assert track.stream_id == sender.connection_id
    sender.connection.disconnect()
    wait_until(lambda: track.state is SoraTrackState.ENDED, "the end of the track")
    assert track.kind == "video"


def test_a_disabled_media_track_is_black_and_silent(make_client: MakeClient) -> None:
    sora = Sora()
    video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
    make_client("sendonly", video_source=video, audio_source=audio).connect()
    receiver = make_client("recvonly").connect()
    wait_until(lambda: len(receiver.tracks) == 2, "the tracks")
    pictures: list[SoraVideoFrame] = []
    sounds: list[SoraAudioFrame] = []
    sinks: list[Any] = []
    for track in receiver.tracks:
        assert track.set_enabled(False)
        sink: Any = SoraVideoSink(track) if track.kind == "video" else SoraAudioStreamSink(track)
        sink.on_frame = pictures.append if track.kind == "video" else sounds.append
        sinks.append(sink)
    with Feeder(video, audio):
        wait_until(lambda: len(pictures) > 10 and len(sounds) > 50, "pictures and sound")
    assert all(frame.data().max() <= 2 for frame in pictures)
    assert not any(frame.data().any() for frame in sounds)
