"""Tells when somebody in the channel speaks.

python vad.py --url ws://127.0.0.1:5000/signaling --channel hello
"""

from __future__ import annotations

import argparse
import asyncio

from sora_sdk import SoraVAD, aio

#: libwebrtc takes a frame for voice above this.
THRESHOLD = 0.95
#: Frames of 10 ms without voice after which somebody has ended.
PAUSE = 30


async def listen(track: aio.Track) -> None:
    vad, speaking, quiet = SoraVAD(), False, 0
    # 24 kHz and one channel are the quickest for the detector.
    async for frame in track.audio(sample_rate=24_000, channels=1):
        quiet = 0 if vad.analyze(frame) > THRESHOLD else quiet + 1
        if (quiet < PAUSE) != speaking:
            speaking = not speaking
            print(f"{track.stream_id} {'speaks' if speaking else 'has ended'}", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    args = parser.parse_args()

    async with aio.Connection(args.url, args.channel, "recvonly", video=False) as connection:
        print("connected; Ctrl+C ends", flush=True)
        listening = []
        async for track in connection.tracks():
            listening.append(asyncio.ensure_future(listen(track)))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
