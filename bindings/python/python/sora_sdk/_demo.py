"""demo of the command line: pictures and sound to oneself, through a development server of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import numpy as np

from . import Sora, SoraVideoFrame, aio
from .devserver import DevServer
from ._media import SAMPLE_RATE, melody, read_number, test_card

#: Part of the pictures that has to arrive.
_ENOUGH = 0.9


class _Watcher:
    """Counts what arrives."""

    def __init__(self, sent_at: list[float]) -> None:
        self._sent_at = sent_at
        self.latencies: list[float] = []
        self.sounds, self.loud = 0, 0
        self.size = ""

    def picture(self, frame: SoraVideoFrame) -> None:
        now, picture = time.monotonic(), frame.data()
        self.size = f"{picture.shape[1]}x{picture.shape[0]}"
        number = read_number(picture)
        if number < len(self._sent_at):
            self.latencies.append(now - self._sent_at[number])

    async def watch(self, track: aio.Track) -> None:
        if track.kind == "video":
            async for frame in track.video(limit=30):
                self.picture(frame)
            return
        async for sound in track.audio():
            self.sounds += 1
            self.loud += int(np.abs(sound.data()).max() > 1000)


async def _stream(server: DevServer, options: argparse.Namespace) -> dict[str, Any]:
    sora = Sora(openh264=options.openh264)
    camera = aio.VideoSource(options.frame_rate, sora=sora)
    microphone = aio.AudioSource(1, SAMPLE_RATE, sora=sora)
    sent_at: list[float] = []
    watcher = _Watcher(sent_at)
    total = round(options.seconds * options.frame_rate)
    cards = test_card(*options.size)

    async def pictures() -> None:
        for _ in range(total):
            card = next(cards)
            sent_at.append(time.monotonic())
            await camera.send(card)

    async def sound() -> None:
        blocks = melody()
        while True:
            await microphone.send(next(blocks))

    url, channel = server.signaling_url, "demo"
    watching: list[asyncio.Future[None]] = []
    started = time.monotonic()
    async with aio.Connection(url, channel, "recvonly", sora=sora) as receiver:
        connect_s = time.monotonic() - started

        async def each_track() -> None:
            async for track in receiver.tracks():
                watching.append(asyncio.ensure_future(watcher.watch(track)))

        following = asyncio.ensure_future(each_track())
        more: Any = {"video_codec_type": options.codec, "video_bit_rate": options.bit_rate}
        async with aio.Connection(
            url, channel, "sendonly", sora=sora, audio_source=microphone, video_source=camera, **more
        ) as sender:
            speaking = asyncio.ensure_future(sound())
            await pictures()
            await asyncio.sleep(0.3)
            speaking.cancel()
            stats = await sender.stats()
        await asyncio.sleep(0.1)
        following.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    percentile = [
        round(float(np.percentile(watcher.latencies, part)) * 1000, 1) if watcher.latencies else None
        for part in (50, 95)
    ]
    encoders = [one.get("encoderImplementation") for one in stats if one["type"] == "outbound-rtp"]
    return {
        "codec": options.codec,
        "encoder": next((name for name in encoders if name), None),
        "size": watcher.size,
        "connect_ms": round(connect_s * 1000, 1),
        "pictures_sent": total,
        "pictures_received": len(watcher.latencies),
        "latency_ms_p50": percentile[0],
        "latency_ms_p95": percentile[1],
        "sound_received_s": watcher.sounds / 100,
        "sound_heard": watcher.loud > watcher.sounds // 4 > 0,
    }


def demo(options: argparse.Namespace) -> int:
    """python -m sora_sdk demo"""
    if not options.json:
        print(f"streaming {options.codec} for {options.seconds:g} s through a server of its own", flush=True)
    with DevServer() as server:
        result = asyncio.run(_stream(server, options))
    worked = result["pictures_received"] >= _ENOUGH * result["pictures_sent"] and result["sound_heard"]
    if options.json:
        print(json.dumps({"worked": worked, **result}))
    else:
        for name, value in result.items():
            print(f"  {name.replace('_', ' '):20} {value}")
        print("it works" if worked else "not enough arrived; is the machine busy? try --size 640x360")
    return 0 if worked else 1
