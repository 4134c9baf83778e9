"""Speech to measure with: recorded prompts if they are installed, else a synthetic voice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

RATE, SECONDS = 16_000, 20
PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
CLIPS = [
    ("demo-instruct.g722", 0),
    ("demo-instruct.g722", 20),
    ("priv-callee-options.g722", 0),
    ("demo-echotest.g722", 0),
]
TEXTS = {
    "en-us": "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It is easy to tell the depth of a well. These days a chicken leg is a rare dish. Rice is often served in bowls. ",
    "ja": "こんにちは。今日は良い天気ですね。駅まで歩いて行きましょう。音声の品質を測るための文章です。"
    "電話の声は聞きやすいですか。明日もまた話しましょう。",
    "de": "Die Sonne scheint heute sehr warm. Der Zug nach Berlin fährt um zehn Uhr ab. "
    "Wir haben gestern einen langen Brief geschrieben. Das Wasser im See ist kalt und klar. ",
    "fr": "Le petit chat dort sur la chaise. Nous irons demain au marché pour acheter du pain. "
    "La voiture rouge tourne à gauche. Il fait froid dans cette maison en hiver. ",
}

Samples = npt.NDArray[np.int16]


def recorded() -> list[Samples]:
    import av

    clips = []
    for name, second in CLIPS:
        with av.open(str(PROMPTS / name), format="g722") as file:
            samples = np.concatenate([frame.to_ndarray().reshape(-1) for frame in file.decode(audio=0)])
        clips.append(samples[second * RATE : (second + SECONDS) * RATE].astype(np.int16))
    return clips


def synthetic() -> list[Samples]:
    clips = []
    for voice, text in TEXTS.items():
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            subprocess.run(["espeak-ng", "-v", voice, "-w", file.name, text * 2], check=True)
            with wave.open(file.name) as sound:
                rate, raw = sound.getframerate(), sound.readframes(sound.getnframes())
        samples = np.frombuffer(raw, np.int16).astype(float)
        places = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
        clips.append(np.interp(places, np.arange(len(samples)), samples)[: SECONDS * RATE].astype(np.int16))
    return clips


def clips() -> tuple[str, list[Samples]]:
    """What it is, and four clips of up to 20 s at 16 kHz."""
    if (PROMPTS / CLIPS[0][0]).exists():
        return "recorded prompts", recorded()
    if shutil.which("espeak-ng"):
        return "a synthetic voice", synthetic()
    sys.exit("no speech: install asterisk-core-sounds-en-g722 or espeak-ng")


def save(samples: Any, path: Path) -> Path:
    samples.astype(np.int16).tofile(path)
    return path
