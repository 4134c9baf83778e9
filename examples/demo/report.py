"""Joins what the publisher sent with what the subscriber got: latency, loss, picture quality; saves PNG and WAV."""

from __future__ import annotations

import argparse
import json
import wave
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from media_input import BLOCK_SAMPLES, SAMPLE_RATE, VideoInput, open_audio, open_video, thumbnail

WINDOW = SAMPLE_RATE
HOP = SAMPLE_RATE // 4
MAX_LAG_S = 0.6


def percentiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


def video_latency(publisher: dict, subscriber: dict) -> list[float]:
    sent = publisher["frame_times"]
    return [(at - sent[n]) * 1000 for n, at in subscriber["frames"] if n is not None and n < len(sent)]


def audio_latency(
    publisher: dict, subscriber: dict, sent: npt.NDArray[np.int16], received: npt.NDArray[np.int16]
) -> list[float]:
    """Finds each received second in what was sent by cross-correlation, so that any sound will do."""
    sent_times, received_times = publisher["sound_times"], subscriber["sound_times"]
    latencies: list[float] = []
    reach = int(MAX_LAG_S * SAMPLE_RATE)
    for start in range(0, received.size - WINDOW, HOP):
        window = received[start : start + WINDOW].astype(np.float64)
        block = start // BLOCK_SAMPLES
        if np.abs(window).mean() < 50 or block >= len(received_times):
            continue
        at = received_times[block]
        upto = int(np.searchsorted(sent_times, at)) * BLOCK_SAMPLES
        first = max(0, upto - reach)
        stretch = sent[first : upto + WINDOW].astype(np.float64)
        if stretch.size < WINDOW:
            continue
        size = 1 << (stretch.size + WINDOW).bit_length()
        spectrum = np.fft.rfft(stretch, size) * np.conj(np.fft.rfft(window, size))
        correlation = np.fft.irfft(spectrum, size)[: stretch.size - WINDOW + 1]
        best = int(np.argmax(correlation))
        match = stretch[best : best + WINDOW]
        likeness = correlation[best] / (np.linalg.norm(match) * np.linalg.norm(window) + 1e-9)
        index = (first + best) // BLOCK_SAMPLES
        if likeness > 0.6 and index < len(sent_times):
            latencies.append((at - sent_times[index]) * 1000)
    return latencies


def psnr(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float(99.0 if error == 0 else 10 * np.log10(255**2 / error))


def layers(subscriber: dict, thumbnails: npt.NDArray[np.uint8], pictures: VideoInput) -> dict:
    """What arrived of each picture size, and how much the worst picture of all differs from the one that was sent."""
    likeness: list[float] = []
    sizes: dict[str, int] = {}
    for (number, _), size, small in zip(subscriber["frames"], subscriber["sizes"], thumbnails, strict=True):
        if number is None:
            likeness.append(0.0)
            continue
        likeness.append(psnr(thumbnail(pictures.frame(number)), small))
        name = f"{size[0]}x{size[1]}"
        sizes[name] = sizes.get(name, 0) + 1
    return {
        "layers": sizes,
        "switches": [rid for rid, _ in subscriber["switches"]],
        "worst_picture_db": round(min(likeness), 2) if likeness else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--size", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--codec", required=True)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--audio", type=Path)
    args = parser.parse_args()
    width, height = (int(n) for n in args.size.split("x"))
    publisher = json.loads((args.dir / "publisher.json").read_text())
    subscriber = json.loads((args.dir / "subscriber.json").read_text())
    media = np.load(args.dir / "subscriber.npz")
    pictures = open_video(args.video, width, height)
    sent_sound = open_audio(args.audio, args.seconds + 2)
    kept = sorted(zip(media["kept_numbers"].tolist(), media["kept"], strict=True), key=lambda pair: pair[0])
    quality = [
        psnr(pictures.frame(number), picture) for number, picture in kept if picture.shape[:2] == (height, width)
    ]
    last = media["last"]
    cv2.imwrite(str(args.dir / "last.png"), last)
    with wave.open(str(args.dir / "received.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(media["sound"].tobytes())
    numbers = {n for n, _ in subscriber["frames"] if n is not None}
    result = {
        "codec": args.codec,
        "width": int(last.shape[1]),
        "height": int(last.shape[0]),
        "sent_frames": publisher["sent_frames"],
        "received_frames": len(numbers),
        "video_latency_ms": percentiles(video_latency(publisher, subscriber)),
        "audio_latency_ms": percentiles(audio_latency(publisher, subscriber, sent_sound, media["sound"])),
        "psnr_db": round(float(np.mean(quality)), 2) if quality else None,
        "connect_ms": round(publisher["connect_ms"], 1),
        "first_frame_ms": round((subscriber["frames"][0][1] - publisher["frame_times"][0]) * 1000, 1),
        "cpu_s_per_min": {
            "sender": round(publisher["cpu_s_per_min"], 2),
            "receiver": round(subscriber["cpu_s_per_min"], 2),
        },
    }
    if subscriber["switches"]:
        result |= layers(subscriber, media["thumbnails"], pictures)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
