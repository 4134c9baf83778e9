"""Audio frames that one package pickles and the other reads; what both make of the same sound."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

# Sound of a source without a connection in another format, as pickles; a crash at exit is not the question here.
WRITE = """
import base64, os, pickle, queue, sys
import numpy as np
from sora_sdk import Sora, SoraAudioStreamSink

channels, rate, *output = map(int, sys.argv[1:])
source = Sora().create_audio_source(channels, rate)
sink = SoraAudioStreamSink(source, *output)
frames = queue.Queue()
sink.on_frame = lambda frame: frames.put(pickle.dumps(frame))
time = np.arange(rate // 10)[:, None] / rate
sound = 8000 * np.sin(2 * np.pi * (300 + 200 * np.arange(channels)) * time)
source.on_data(np.ascontiguousarray(sound.astype(np.int16)))
for _ in range(9):
    print(base64.b64encode(frames.get(timeout=10)).decode(), flush=True)
os._exit(0)
"""

READ = """
import base64, json, os, pickle, sys
for line in sys.stdin:
    frame = pickle.loads(base64.b64decode(line))
    shape = [frame.samples_per_channel, frame.num_channels, frame.sample_rate_hz, frame.absolute_capture_timestamp_ms]
    print(json.dumps({"shape": shape, "samples": frame.data().tolist()}), flush=True)
os._exit(0)
"""


def write(python: str, *arguments: int) -> str:
    command = [python, "-c", WRITE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def read(python: str, frames: str) -> list[dict[str, Any]]:
    command = [python, "-c", READ]
    ran = subprocess.run(command, input=frames, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("we_write", [True, False])
def test_frames_pickle_from_one_to_the_other(our_python: str, reference_python: str, we_write: bool) -> None:
    """Every sample and property is the same whoever unpickles."""
    writer, reader = (our_python, reference_python) if we_write else (reference_python, our_python)
    frames = write(writer, 2, 48_000, 24_000, 2)
    there, here = read(reader, frames), read(writer, frames)
    assert there == here
    assert len(there) == 9
    assert {tuple(frame["shape"]) for frame in there} == {(240, 2, 24_000, None)}
    assert max(sample for pair in there[5]["samples"] for sample in pair) > 7_000


@pytest.mark.parametrize("output", [(48_000, 1), (48_000, 2), (48_000, 6), (24_000, 0), (16_000, 1), (-1, 0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_local_sinks_give_the_same_sound(
    our_python: str, reference_python: str, channels: int, output: tuple[int, int]
) -> None:
    """Shapes are the same, and so is the sound but for the resamplers' delays and edges."""
    ours = read(our_python, write(our_python, channels, 48_000, *output))
    theirs = read(reference_python, write(reference_python, channels, 48_000, *output))
    assert [frame["shape"][:3] for frame in ours] == [frame["shape"][:3] for frame in theirs]
    for mine, other in zip(peaks(ours), peaks(theirs), strict=True):
        assert abs(mine - other) <= 60, (peaks(ours), peaks(theirs))


def peaks(frames: list[dict[str, Any]]) -> list[int]:
    """The largest sample of each channel, once the resamplers have settled."""
    samples = [pair for frame in frames[2:] for pair in frame["samples"]]
    return [max(channel) for channel in zip(*samples, strict=True)]


PROBABILITIES = """
import json, os, sys
import numpy as np
from sora_sdk import SoraAudioFrame, SoraVAD

random, vad = np.random.default_rng(1), SoraVAD()
rate, channels = map(int, sys.argv[1:])
time = np.arange(8 * rate) / rate
pitch = np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * time)) / rate
sound = sum(np.sin(2 * np.pi * n * pitch) / n for n in range(1, 12)) * np.clip(np.sin(2 * np.pi * 1.1 * time) * 3, 0, 1)
sound = 4000 * sound[:, None] * np.linspace(1, 0.4, channels) + random.normal(0, 60, (len(time), channels))
sound = sound.astype(np.int16).view(np.uint16)
size = rate // 100
for start in range(0, len(sound) - size, size):
    frame = SoraAudioFrame.__new__(SoraAudioFrame)
    frame.__setstate__((sound[start : start + size].reshape(-1).tolist(), size, channels, rate, None))
    print(json.dumps(vad.analyze(frame)))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (16_000, 1), (48_000, 2), (44_100, 1), (8_000, 2)])
def test_probabilities_of_voice_are_the_same(our_python: str, reference_python: str, rate: int, channels: int) -> None:
    """Both detectors agree on every frame, on both sides of both thresholds."""
    said = []
    for python in (our_python, reference_python):
        command = [python, "-c", PROBABILITIES, str(rate), str(channels)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        said.append([float(line) for line in ran.stdout.split()])
    differences = [abs(mine - other) for mine, other in zip(*said, strict=True)]
    assert len(differences) == 799
    assert sum(differences) / len(differences) <= 1e-5
    assert max(differences) <= 0.06
    for threshold in (0.5, 0.95):
        sides = [(mine > threshold, other > threshold) for mine, other in zip(*said, strict=True)]
        assert all(mine == other for mine, other in sides)
        assert {mine for mine, _ in sides} == {True, False}, "both sides should have been tried"
