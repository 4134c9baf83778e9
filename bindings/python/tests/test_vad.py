"""SoraVAD: what it takes, what it refuses, what it says of plain sounds."""

from __future__ import annotations

import pickle
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import tone, wait_until

from sora_sdk import Sora, SoraAudioFrame, SoraAudioStreamSink, SoraVAD

MODELS = ["rnn", "earshot", "gate"]


def frame(samples: npt.NDArray[np.int16], rate: int) -> SoraAudioFrame:
    """A frame of any samples, of shape (samples, channels)."""
    made = SoraAudioFrame.__new__(SoraAudioFrame)
    made.__setstate__((samples.astype(np.int16).view(np.uint16).reshape(-1).tolist(), *samples.shape, rate, None))
    return made


def voice(seconds: float, rate: int) -> npt.NDArray[np.int16]:
    """Something with the harmonics and the melody of a voice."""
    time = np.arange(int(seconds * rate)) / rate
    phase = np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.8 * time)) / rate
    sound = sum(np.sin(2 * np.pi * number * phase) / number for number in range(1, 20))
    return (3_000 * np.asarray(sound)).astype(np.int16)[:, None]


def probabilities(vad: SoraVAD, sound: npt.NDArray[np.int16], rate: int) -> list[float]:
    size = rate // 100
    return [vad.analyze(frame(sound[n : n + size], rate)) for n in range(0, len(sound) - size + 1, size)]


@pytest.mark.parametrize("model", MODELS)
def test_silence_is_no_voice(model: Any) -> None:
    vad = SoraVAD(model=model)
    assert max(probabilities(vad, np.zeros((48_000, 1), np.int16), 48_000)) < (0.5 if model == "earshot" else 1e-9)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_harmonics_of_any_format_are_voice(rate: int, channels: int) -> None:
    said = probabilities(SoraVAD(), np.repeat(voice(1.2, rate), channels, axis=1), rate)
    assert all(0 <= probability <= 1 for probability in said)
    assert float(np.median(said[40:])) > 0.95


def test_noise_is_not() -> None:
    noise = np.random.default_rng(3).normal(0, 300, (48_000, 1)).astype(np.int16)
    assert max(probabilities(SoraVAD(), noise, 24_000)) < 0.95


def test_the_gate_says_yes_or_no() -> None:
    said = probabilities(SoraVAD(model="gate"), voice(1, 16_000), 16_000)
    assert set(said) <= {0.0, 1.0}
    assert said[50:].count(1.0) > 40


def test_the_same_sound_has_the_same_probabilities() -> None:
    sound = voice(2, 24_000)
    assert probabilities(SoraVAD(), sound, 24_000) == probabilities(SoraVAD(), sound, 24_000)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("samples", "rate", "text"),
    [
        (np.zeros((239, 1)), 24_000, "at least 240 samples, which are 10 ms of all channels, got 239"),
        (np.zeros((0, 1)), 24_000, "at least 240 samples"),
        (np.zeros((240, 2)), 48_000, "at least 960 samples"),
        (np.zeros((480, 1)), 0, "sample rate from 4000 to 384000 Hz, got 0"),
        (np.zeros((480, 1)), 3_999, "sample rate"),
        (np.zeros((480, 1)), 4_294_967_295, "sample rate"),
    ],
)
def test_frames_that_cannot_be_analysed_are_value_errors(
    model: Any, samples: npt.NDArray[np.int16], rate: int, text: str
) -> None:
    vad = SoraVAD(model=model)
    with pytest.raises(ValueError, match=text):
        vad.analyze(frame(samples, rate))
    assert vad.analyze(frame(np.zeros((240, 1)), 24_000)) == 0


def test_a_frame_that_never_had_sound_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="480 samples"):
        SoraVAD().analyze(SoraAudioFrame.__new__(SoraAudioFrame))


@pytest.mark.parametrize("bad", [None, 1, b"", np.zeros((480, 1), np.int16)])
def test_anything_but_a_frame_is_a_type_error(bad: Any) -> None:
    with pytest.raises(TypeError):
        SoraVAD().analyze(bad)


def test_models_that_there_are_not() -> None:
    with pytest.raises(ValueError, match="'rnn', 'earshot' or 'gate'"):
        SoraVAD(model="silero")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        SoraVAD("rnn")  # type: ignore[misc]


def test_what_is_written_to_the_array_is_what_is_heard() -> None:
    loud = frame(voice(0.01, 24_000), 24_000)
    loud.data()[:] = 7
    assert loud.__getstate__()[0] == [7] * 240
    assert pickle.loads(pickle.dumps(loud)).data().tolist() == [[7]] * 240
    loud.data()[:] = 0
    assert SoraVAD().analyze(loud) == 0.0


def test_a_track_is_listened_to_as_the_documentation_shows() -> None:
    source = Sora().create_audio_source(1, 48_000)
    vad, said = SoraVAD(), []
    sink = SoraAudioStreamSink(source, output_frequency=24_000, output_channels=1)
    sink.on_frame = lambda heard: said.append(vad.analyze(heard))
    source.on_data(voice(1, 48_000))
    wait_until(lambda: len(said) >= 99, "the probabilities")
    assert float(np.median(said[40:])) > 0.95


def test_detectors_in_many_threads() -> None:
    shared, results = SoraVAD(), []

    def listen() -> None:
        results.append(probabilities(SoraVAD(), voice(0.5, 24_000), 24_000))
        probabilities(shared, tone(0, 12_000, 24_000), 24_000)

    threads = [threading.Thread(target=listen) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == results[0] for result in results)
