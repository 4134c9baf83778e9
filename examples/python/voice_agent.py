"""The loop of an agent that listens and speaks: hears somebody out, thinks, answers, and is quiet when interrupted.

    python voice_agent.py --url ws://127.0.0.1:5000/signaling --channel hello

answer() stands for speech recognition, language model and speech synthesis: here it says back what it heard.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator

import numpy as np

from sora_sdk import SoraVAD, aio

SAMPLE_RATE = 24_000
BLOCK = SAMPLE_RATE // 50
THRESHOLD, BEFORE, PAUSE = 0.95, 20, 60  # probability; frames of 10 ms


async def answer(heard: np.ndarray) -> AsyncIterator[np.ndarray]:
    """Sound in, sound out: 24 kHz mono int16 in blocks, as soon as each is there."""
    for start in range(0, len(heard), BLOCK):
        yield heard[start : start + BLOCK]


async def speak(mouth: aio.AudioSource, heard: np.ndarray) -> None:
    print(f"heard {len(heard) / SAMPLE_RATE:.1f} s", flush=True)
    async for block in answer(heard):
        # Comes back when it is time for the next block, so that an interruption is not late.
        await mouth.send(block)
    print("answered", flush=True)


async def converse(track: aio.Track, mouth: aio.AudioSource) -> None:
    vad, heard, quiet, speaking = SoraVAD(), [], PAUSE, None
    async for frame in track.audio(limit=500, sample_rate=SAMPLE_RATE, channels=1):
        heard.append(frame.data())
        voice = vad.analyze(frame) > THRESHOLD
        if voice and quiet >= PAUSE and speaking is not None:
            speaking.cancel()
        if voice:
            quiet = 0
        elif quiet < PAUSE:
            quiet += 1
            if quiet == PAUSE:
                speaking = asyncio.ensure_future(speak(mouth, np.concatenate(heard)))
                heard = []
        else:
            # The beginning of a word comes before it is known to be one.
            heard = heard[-BEFORE:]


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    args = parser.parse_args()

    mouth = aio.AudioSource(channels=1, sample_rate=SAMPLE_RATE)
    async with aio.Connection(args.url, args.channel, "sendrecv", video=False, audio_source=mouth) as connection:
        print("listening; Ctrl+C ends", flush=True)
        talks = []
        async for track in connection.tracks():
            talks.append(asyncio.ensure_future(converse(track, mouth)))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
