"""End-to-end encryption: pictures and sound that the server forwards and cannot see.

    python encrypted.py --url ws://127.0.0.1:5000/signaling --channel hello --key secret receive
    python encrypted.py --url ws://127.0.0.1:5000/signaling --channel hello --key secret send

Needs numpy and cryptography. It shows how frames are encrypted, not how to agree on a key: a real program changes keys
when people come and go, and does not take them from a command line that others can list.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
from collections import Counter
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sora_sdk import SoraAudioFrameTransformer, SoraVideoFrameTransformer, aio

#: Bytes in the clear, which servers read to tell key frames and silence; they are authenticated all the same.
CLEAR = {"video": 10, "audio": 1}
NONCE, TAG = 12, 16


class Cipher:
    """AES-GCM over frames: clear bytes, encrypted bytes with their tag, nonce."""

    def __init__(self, key: str) -> None:
        self._aead = AESGCM(hashlib.scrypt(key.encode(), salt=b"sora_sdk example", n=2**14, r=8, p=1, dklen=32))
        self.counts: Counter[str] = Counter()
        self.transformers: list[Any] = []

    def transformer(self, kind: str, encrypts: bool) -> Any:
        made: Any = SoraVideoFrameTransformer() if kind == "video" else SoraAudioFrameTransformer()
        change = self._encrypted if encrypts else self._decrypted

        def on_transform(frame: Any) -> None:
            try:
                frame.set_data(change(frame.get_data().tobytes(), CLEAR[kind]))
            except InvalidTag:
                # Another key, or somebody has touched it. What is not enqueued does not go on.
                self.counts[f"{kind} refused"] += 1
                return
            self.counts[kind] += 1
            made.enqueue(frame)

        made.on_transform = on_transform
        self.transformers.append(made)
        return made

    def _encrypted(self, data: bytes, clear: int) -> bytes:
        nonce = os.urandom(NONCE)
        return data[:clear] + self._aead.encrypt(nonce, data[clear:], data[:clear]) + nonce

    def _decrypted(self, data: bytes, clear: int) -> bytes:
        if len(data) < clear + TAG + NONCE:
            raise InvalidTag
        return data[:clear] + self._aead.decrypt(data[-NONCE:], data[clear:-NONCE], data[:clear])


async def report(cipher: Cipher) -> None:
    while True:
        await asyncio.sleep(1)
        print(
            ", ".join(f"{count} {name}" for name, count in sorted(cipher.counts.items())) or "nothing yet", flush=True
        )


async def send(url: str, channel: str, cipher: Cipher) -> None:
    camera, microphone = aio.VideoSource(30), aio.AudioSource(1, 48_000)
    gradient = np.tile(np.linspace(0, 255, 640, dtype=np.uint8)[None, :, None], (360, 1, 3))

    async def pictures() -> None:
        for number in range(10**9):
            await camera.send(np.roll(gradient, number * 8, axis=1))

    async def tone() -> None:
        for number in range(10**9):
            time = (np.arange(960) + number * 960) / 48_000
            await microphone.send((6000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[:, None])

    async with aio.Connection(
        url, channel, "sendonly", video_source=camera, audio_source=microphone, video_codec_type="VP9",
        video_frame_transformer=cipher.transformer("video", encrypts=True),
        audio_frame_transformer=cipher.transformer("audio", encrypts=True),
    ):  # fmt: skip
        print("connected; Ctrl+C ends", flush=True)
        await asyncio.gather(pictures(), tone(), report(cipher))


async def receive(url: str, channel: str, cipher: Cipher) -> None:
    async def show(track: aio.Track) -> None:
        track.native.set_frame_transformer(cipher.transformer(track.kind, encrypts=False))
        async for frame in track:
            cipher.counts[f"{track.kind} decoded"] += 1
            if track.kind == "video" and cipher.counts["video decoded"] == 1:
                print("the first picture:", frame.data().shape, flush=True)

    async with aio.Connection(url, channel, "recvonly") as connection:
        print("connected; Ctrl+C ends", flush=True)
        tasks = [asyncio.ensure_future(report(cipher))]
        async for track in connection.tracks():
            tasks.append(asyncio.ensure_future(show(track)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--key", required=True, help="the secret that both sides know")
    parser.add_argument("role", choices=["send", "receive"])
    args = parser.parse_args()
    run = send if args.role == "send" else receive
    try:
        asyncio.run(run(args.url, args.channel, Cipher(args.key)))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
