"""Watches many channels at once, each in a process of its own, on one machine or (--ray) on a cluster.

    python many_channels.py --url ws://127.0.0.1:5000/signaling --channel one two three

Needs numpy; ray for --ray. A process never shares a connection with another: each makes its own, after it has started.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import sys
from typing import Any

import numpy as np

from sora_sdk import aio


def watch(url: str, channel: str, seconds: float) -> dict[str, Any]:
    """Runs in a process of its own: counts pictures and measures how bright they are."""
    seen: dict[str, Any] = {"channel": channel, "pictures": 0, "brightness": 0.0}

    async def each_picture(track: aio.Track) -> None:
        async for frame in track:
            if track.kind == "video":
                seen["pictures"] += 1
                seen["brightness"] = round(float(np.mean(frame.data())), 1)

    async def receive() -> None:
        async with aio.Connection(url, channel, "recvonly") as connection:
            watching = []
            async for track in connection.tracks():
                watching.append(asyncio.ensure_future(each_picture(track)))

    async def limited() -> None:
        try:
            await asyncio.wait_for(receive(), seconds)
        except asyncio.TimeoutError:
            pass

    asyncio.run(limited())
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--channel", required=True, nargs="+")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--ray", action="store_true", help="spread over a Ray cluster")
    args = parser.parse_args()
    jobs = [(args.url, channel, args.seconds) for channel in args.channel]

    if args.ray:
        import ray

        ray.init()
        # A connection that decodes 720p takes about a sixth of a core.
        task = ray.remote(num_cpus=0.2)(watch)
        results = ray.get([task.remote(*job) for job in jobs])
    else:
        # spawn: a forked child would lack the threads of what its parent has already used.
        with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
            results = pool.starmap(watch, jobs)
    for result in results:
        print(result)
    sys.exit(0 if all(result["pictures"] for result in results) else 1)


if __name__ == "__main__":
    main()
