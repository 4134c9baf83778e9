"""Sound: the four forms of on_data, sinks without a connection, frames."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import threading
import time
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import tone, wait_until
from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioSink,
    SoraAudioSource,
    SoraAudioStreamSink,
    SoraTrackInterface,
    SoraVideoSink,
)

Samples = npt.NDArray[np.int16]


class Listener:
    """Everything that an audio track says, as it is."""

    def __init__(self, track: SoraTrackInterface, *output: int) -> None:
        self.frames: list[SoraAudioFrame] = []
        self._sink = SoraAudioStreamSink(track, *output)
        self._sink.on_frame = self.frames.append

    def samples(self, count: int) -> Samples:
        """The first samples, as soon as there are so many."""
        wait_until(lambda: sum(frame.samples_per_channel for frame in list(self.frames)) >= count, "the sound")
        return np.concatenate([frame.data() for frame in self.frames])


def source_and_listener(channels: int = 1, rate: int = 48_000) -> tuple[SoraAudioSource, Listener]:
    source = Sora().create_audio_source(channels, rate)
    return source, Listener(source)


def counting(samples: int, channels: int = 1) -> Samples:
    """Samples that are all different."""
    return np.arange(samples * channels, dtype=np.int16).reshape(samples, channels)


def chunks(sound: Samples, size: int) -> Iterator[Samples]:
    yield from (sound[start : start + size] for start in range(0, len(sound), size))


@pytest.mark.parametrize("size", [1, 7, 333, 480, 481, 5_000, 24_000])
@pytest.mark.parametrize("form", ["array", "array at", "memory", "memory at"])
def test_no_form_and_no_chunk_size_loses_a_sample(form: str, size: int) -> None:
    source, listener = source_and_listener(2)
    sound, given, clock = counting(12_000, 2), 0, time.time()
    for chunk in chunks(sound, size):
        timestamp = clock + given / 48_000
        if form == "array":
            source.on_data(chunk)
        elif form == "array at":
            source.on_data(chunk, timestamp)
        elif form == "memory":
            source.on_data(chunk.ctypes.data, len(chunk))
        else:
            source.on_data(chunk.ctypes.data, len(chunk), timestamp)
        given += len(chunk)
    assert np.array_equal(listener.samples(12_000), sound)


def test_arguments_go_by_their_names() -> None:
    source, listener = source_and_listener()
    sound = counting(1_920)
    quarter = list(chunks(sound, 480))
    source.on_data(ndarray=quarter[0])
    source.on_data(ndarray=quarter[1], timestamp=1.0)
    source.on_data(data=quarter[2].ctypes.data, samples_per_channel=480)
    source.on_data(quarter[3].ctypes.data, samples_per_channel=480, timestamp=1.01)
    assert np.array_equal(listener.samples(1_920), sound)


def test_memory_of_any_owner_is_read_during_the_call() -> None:
    source, listener = source_and_listener(3)
    buffer = (ctypes.c_int16 * 1_440)(*range(1_440))
    source.on_data(ctypes.addressof(buffer), 480)
    ctypes.memset(buffer, 0, 2_880)
    assert np.array_equal(listener.samples(480), counting(480, 3))


@pytest.mark.parametrize(
    ("address", "count", "text"),
    [
        (0, 480, "address of 16-bit samples in data, got 0"),
        (-8, 480, "address of 16-bit samples in data, got -8"),
        (0x1001, 480, "even address"),
        (0x1000, -1, "samples_per_channel of 0 or more, got -1"),
        (0x1000, 2**62, "more than memory can hold"),
        (0x1000, 2**63, "more than memory can hold"),
        (2**64 - 2, 480, "more than memory can hold"),
        (2**64, 480, "address"),
        (2**200, 480, "data is too large"),
        (0x1000, -(2**200), "samples_per_channel is too large"),
    ],
)
def test_memory_that_cannot_be_is_a_value_error(address: int, count: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Sora().create_audio_source(1, 48_000).on_data(address, count)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((0x1000,), {}),
        ((0x1000, 1.0), {}),
        ((0x1000, True), {}),
        ((True, 480), {}),
        ((0x1000, 480, "now"), {}),
        ((0x1000, 480, 1.0, 1), {}),
        ((tone(0, 480), 1.0, 1), {}),
        ((tone(0, 480), "now"), {}),
        ((tone(0, 480),), {"ndarray": tone(0, 480)}),
        ((tone(0, 480),), {"samples_per_channel": 480}),
        ((), {"data": 0x1000}),
        ((), {"samples_per_channel": 480}),
        ((0x1000,), {"samples_per_channel": 480, "data": 0x1000}),
    ],
)
def test_no_other_form(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Sora().create_audio_source(1, 48_000).on_data(*args, **kwargs)


def test_no_samples_are_no_error_and_no_sound() -> None:
    source, listener = source_and_listener()
    source.on_data(tone(0, 0))
    source.on_data(tone(0, 1).ctypes.data, 0)
    source.on_data(counting(480))
    assert np.array_equal(listener.samples(480), counting(480))


def test_timestamps_are_the_capture_times_of_the_frames() -> None:
    source, listener = source_and_listener(1, 16_000)
    source.on_data(counting(100), 1_700_000_000.0)
    source.on_data(counting(220), 1_700_000_000.006)
    source.on_data(counting(160))
    listener.samples(480)
    times = [frame.absolute_capture_timestamp_ms for frame in listener.frames]
    assert times == [1_700_000_000_000, 1_700_000_000_010, None]


@pytest.mark.parametrize("timestamp", [0.0, -1.0, 1e300, float("nan"), float("inf"), None])
def test_odd_timestamps_lose_no_sound(timestamp: float | None) -> None:
    source, listener = source_and_listener()
    for chunk in chunks(counting(4_800), 333):
        source.on_data(chunk, timestamp)
    assert np.array_equal(listener.samples(4_800), counting(4_800))


@pytest.mark.parametrize("jump", [-3_600.0, -0.05, 0.05])
def test_a_small_jump_or_one_back_loses_no_sound(jump: float) -> None:
    source, listener = source_and_listener()
    sound = counting(1_440)
    source.on_data(sound[:700], 1_000.0)
    source.on_data(sound[700:], 1_000.0 + 700 / 48_000 + jump)
    assert np.array_equal(listener.samples(1_440), sound)


def test_a_pause_fills_the_frame_before_it() -> None:
    source, listener = source_and_listener()
    source.on_data(counting(700), 1_000.0)
    source.on_data(counting(480), 1_001.0)
    heard = listener.samples(1_440)[:, 0]
    assert np.array_equal(heard[:700], counting(700)[:, 0])
    assert not heard[700:960].any()
    assert np.array_equal(heard[960:], counting(480)[:, 0])


def test_a_disabled_source_is_silent_and_goes_on() -> None:
    source, listener = source_and_listener()
    source.on_data(tone(0, 480))
    source.set_enabled(False)
    source.on_data(tone(480, 480))
    source.set_enabled(True)
    source.on_data(tone(960, 480))
    listener.samples(1_440)
    assert [bool(frame.data().any()) for frame in listener.frames] == [True, False, True]


def spectrum_peak(sound: Samples, rate: int) -> float:
    window = sound[:, 0] * np.hanning(len(sound))
    return float(np.abs(np.fft.rfft(window, 8 * len(window))).argmax() * rate / (8 * len(window)))


@pytest.mark.parametrize("rate", [8_000, 11_025, 12_345, 22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("output", [8_000, 16_000, 24_000, 44_100, 48_000])
def test_a_sink_gives_every_rate_in_every_other(rate: int, output: int) -> None:
    source = Sora().create_audio_source(1, rate)
    listener = Listener(source, output, 1)
    source.on_data(tone(0, rate, rate, 1_000.0))
    heard = listener.samples(output // 2)
    assert {frame.samples_per_channel for frame in listener.frames} == {output // 100}
    assert abs(spectrum_peak(heard[output // 10 :], output) - 1_000) < 0.25


@pytest.mark.parametrize("output", [4_000, 11_025, 12_345, 22_050, 384_000])
def test_a_sink_gives_rates_that_have_no_whole_number_of_samples_in_10_ms(output: int) -> None:
    source = Sora().create_audio_source(1, 48_000)
    listener, buffer = Listener(source, output, 1), SoraAudioSink(source, output, 1)
    source.on_data(tone(0, 48_000, 48_000, 1_000.0))
    heard = listener.samples(output * 9 // 10)
    assert {(frame.samples_per_channel, frame.sample_rate_hz) for frame in listener.frames} == {(output // 100, output)}
    assert abs(spectrum_peak(heard[output // 10 :], output) - 1_000) < 0.25
    # All of the second but what the resampler still holds, and what does not fill a frame.
    read = buffer.read()[1]
    assert read is not None and output * 0.98 <= len(read) <= output


def test_what_sinks_miss_is_counted() -> None:
    sora = Sora()
    audio, video = sora.create_audio_source(1, 48_000), sora.create_video_source()
    buffer, stream, pictures = SoraAudioSink(audio), SoraAudioStreamSink(audio), SoraVideoSink(video)
    assert (buffer.dropped, stream.dropped, pictures.dropped) == (0, 0, 0)
    inside, go = threading.Semaphore(0), threading.Event()

    def wait(frame: object) -> None:
        inside.release()
        go.wait(30)

    stream.on_frame = pictures.on_frame = wait
    video.on_captured(np.zeros((48, 64, 3), np.uint8))
    audio.on_data(tone(0, 480))
    assert inside.acquire(timeout=15) and inside.acquire(timeout=15)
    for _ in range(5):
        video.on_captured(np.zeros((48, 64, 3), np.uint8))
    audio.on_data(tone(0, 48_000 * 6))
    assert (buffer.dropped, stream.dropped, pictures.dropped) == (48_480, 100, 3)
    go.set()


def test_a_read_that_waits_for_no_number_of_seconds_does_not_wait() -> None:
    sink = SoraAudioSink(Sora().create_audio_source(1, 48_000))
    assert sink.read(480, float("nan")) == (False, None)


def test_what_a_rate_cannot_carry_is_not_heard_in_it() -> None:
    source = Sora().create_audio_source(1, 48_000)
    listener = Listener(source, 16_000, 1)
    source.on_data((tone(0, 48_000, 48_000, 9_500.0) * 3.5).astype(np.int16))
    heard = listener.samples(14_000)[1_600:13_600]
    assert np.abs(heard).max() <= 1


@pytest.mark.parametrize(
    ("given", "wanted", "heard"),
    [
        ((10, 30), 1, (20,)),
        ((3, -4), 1, (0,)),
        ((-3, -4), 1, (-3,)),
        ((7,), 2, (7, 7)),
        ((7,), 6, (7, 7, 0, 0, 0, 0)),
        ((1, 2), 3, (1, 2, 0)),
        ((1, 2, 6), 2, (1, 4)),
    ],
)
def test_channels_are_mixed_like_the_reference_does(
    given: tuple[int, ...], wanted: int, heard: tuple[int, ...]
) -> None:
    source = Sora().create_audio_source(len(given), 48_000)
    sink = SoraAudioSink(source, -1, wanted)
    source.on_data(np.tile(np.array(given, np.int16), (480, 1)))
    ok, data = sink.read(480)
    assert ok
    assert data is not None
    assert np.array_equal(data, np.tile(heard, (480, 1)))


def test_a_read_waits_without_stopping_other_threads() -> None:
    source = Sora().create_audio_source(1, 48_000)
    sink = SoraAudioSink(source)
    result: list[Any] = []
    reader = threading.Thread(target=lambda: result.append(sink.read(960, 10)))
    reader.start()
    for chunk in chunks(counting(960), 96):
        assert not result
        source.on_data(chunk)
    reader.join(10)
    ((ok, data),) = result
    assert ok
    assert np.array_equal(data, counting(960))


def test_a_read_that_gets_too_little_keeps_it() -> None:
    source = Sora().create_audio_source(1, 48_000)
    sink = SoraAudioSink(source)
    source.on_data(counting(480))
    assert sink.read(481, 0.01) == (False, None)
    ok, data = sink.read(frames=480, timeout=0)
    assert ok
    assert np.array_equal(data, counting(480))  # type: ignore[arg-type]


def test_what_nobody_reads_is_bounded_and_the_newest_stays() -> None:
    source = Sora().create_audio_source(1, 8_000)
    sink = SoraAudioSink(source)
    sound = (np.arange(60 * 8_000) % 30_011).astype(np.int16)[:, None]
    source.on_data(sound)
    ok, data = sink.read()
    assert ok
    assert np.array_equal(data, sound[-5 * 8_000 :])  # type: ignore[arg-type]


def test_on_data_and_on_format_tell_what_a_read_gives() -> None:
    source = Sora().create_audio_source(2, 48_000)
    sink = SoraAudioSink(source, 16_000, 1)
    formats: list[tuple[int, int]] = []
    kept: list[Samples] = []
    sink.on_format = lambda sample_rate, number_of_channels: formats.append((sample_rate, number_of_channels))
    sink.on_data = kept.append
    source.on_data(np.repeat(tone(0, 4_800), 2, axis=1))
    wait_until(lambda: len(kept) >= 9, "the sound")
    assert formats == [(16_000, 1)]
    assert {array.shape for array in kept} == {(160, 1)}
    assert all(array.dtype == np.int16 and array.flags.owndata is not None for array in kept)
    ok, data = sink.read(160 * 9)
    assert ok
    assert np.array_equal(data, np.concatenate(kept[:9]))  # type: ignore[arg-type]


def test_a_deleted_sink_is_silent() -> None:
    source = Sora().create_audio_source(1, 48_000)
    seen: list[SoraAudioFrame] = []
    sink = SoraAudioStreamSink(source)
    sink.on_frame = seen.append
    source.on_data(tone(0, 480))
    wait_until(lambda: seen, "a frame")
    gone = weakref.ref(sink)
    del sink
    gc.collect()
    assert gone() is None
    other = Listener(source)
    source.on_data(tone(0, 480))
    other.samples(480)
    assert len(seen) == 1


def test_a_frames_array_outlives_the_frame() -> None:
    source, listener = source_and_listener()
    source.on_data(counting(480))
    listener.samples(480)
    array = listener.frames.pop().data()
    gc.collect()
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert np.array_equal(array, counting(480))


def test_frames_of_a_track_pickle_and_copy() -> None:
    source, listener = source_and_listener(2, 24_000)
    source.on_data(counting(240, 2), 12.5)
    listener.samples(240)
    (frame,) = listener.frames
    for again in (
        *(pickle.loads(pickle.dumps(frame, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)),
        copy.copy(frame),
        copy.deepcopy(frame),
    ):
        assert isinstance(again, SoraAudioFrame)
        assert np.array_equal(again.data(), counting(240, 2))
        assert (again.samples_per_channel, again.num_channels, again.sample_rate_hz) == (240, 2, 24_000)
        assert again.absolute_capture_timestamp_ms == 12_500
