"""How long connecting and leaving take, through the development server on this machine.

Run by `cargo xtask bench connections`, or with any sora_sdk: SORA_DEVSERVER=BINARY python benches/connections.py
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import threading
import time

from sora_sdk import Sora

CONNECTIONS = 50
DEADLINE_S = 20.0


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the largest, in milliseconds."""
    ordered = sorted(value * 1000 for value in values)
    p95 = ordered[round(0.95 * (len(ordered) - 1))]
    return {"p50": round(statistics.median(ordered), 1), "p95": round(p95, 1), "max": round(ordered[-1], 1)}


def connect_once(sora: Sora, url: str, number: int, options: dict[str, bool]) -> tuple[float, float]:
    """Seconds from connect() to the first notification, and those that disconnect() takes."""
    connected = threading.Event()
    connection = sora.create_connection(
        signaling_urls=[url], role="sendrecv", channel_id=f"connections-{number}",
        audio_source=sora.create_audio_source(1, 48_000), video_source=sora.create_video_source(), **options,
    )  # fmt: skip
    event = "on_switched" if options else "on_notify"
    setattr(connection, event, lambda text: connected.set())
    begin = time.perf_counter()
    connection.connect()
    if not connected.wait(DEADLINE_S):
        raise SystemExit("not connected")
    middle = time.perf_counter()
    connection.disconnect()
    return middle - begin, time.perf_counter() - middle


def main() -> None:
    server = subprocess.Popen(
        [os.environ["SORA_DEVSERVER"], "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stdout
        url = json.loads(server.stdout.readline())["signaling_url"]
        sora, result = Sora(), {}
        for mode, options in (
            ("websocket", {}),
            ("data channels", {"data_channel_signaling": True, "ignore_disconnect_websocket": True}),
        ):
            connect_once(sora, url, -1, options)
            times = [connect_once(sora, url, number, options) for number in range(CONNECTIONS)]
            result[mode] = {
                "connect_ms": percentiles([connect for connect, _ in times]),
                "disconnect_ms": percentiles([leave for _, leave in times]),
            }
        print(json.dumps(result, indent=2))
    finally:
        server.terminate()
        server.wait(DEADLINE_S)


if __name__ == "__main__":
    main()
