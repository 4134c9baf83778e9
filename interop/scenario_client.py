"""The client of a scenario: prints one JSON line per callback and per call, then ends as the scenario says.

usage: python scenario_client.py NAME URLS_AS_JSON
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import sora_sdk
from sora_sdk import Sora, SoraAudioStreamSink, SoraVideoSink  # noqa: F401  (scenarios make sinks)

from scenario_table import CLIENT, Scenario

CALLBACKS = (
    "on_set_offer", "on_disconnect", "on_notify", "on_push", "on_message", "on_switched", "on_track",
    "on_data_channel", "on_ws_close",
)  # fmt: skip
tracks: list[Any] = []
c: Any = None


def say(**line: Any) -> None:
    print(json.dumps(line, ensure_ascii=True, default=repr), flush=True)


def told(name: str, arguments: tuple[Any, ...]) -> list[Any]:
    """A callback's arguments as JSON."""
    if name == "on_track":
        track = arguments[0]
        return [
            type(track).__name__,
            track.kind,
            "default" if track.stream_id == "default" else "stream",
            track.state.name,
        ]
    if name == "on_disconnect":
        return [arguments[0].name, arguments[1]]
    return [argument.decode("latin-1") if isinstance(argument, bytes) else argument for argument in arguments]


def recorder(name: str, code: str | None) -> Any:
    def record(*arguments: Any) -> None:
        if name == "on_track":
            tracks.append(arguments[0])
        say(callback=name, arguments=told(name, arguments))
        if code:
            exec(code, globals())  # noqa: S102  the table is this repository's

    return record


def call(expression: str) -> None:
    """Evaluates one step and tells what came of it."""
    try:
        say(call=expression, result=eval(expression, globals()))
    except Exception as error:
        say(call=expression, error=f"{type(error).__name__}: {error}")


def urls_of(wanted: list[str], urls: dict[str, str]) -> list[str]:
    """Fills in the names of servers."""
    known = {
        "WS": urls["ws"], "WSS": urls["wss"], "SILENT": urls["silent"], "SLAMMING": urls["slamming"],
        "MISSING": urls["ws"].replace("/signaling", "/missing"), "USERINFO": urls["ws"].replace("//", "//user:pw@"),
        "NOPATH": urls["ws"].removesuffix("/signaling"), "ws2WSS": urls["ws"].replace("ws:", "wss:"), "wss2WS": urls["wss"].replace("wss:", "ws:"),
    }  # fmt: skip
    return [known.get(name, name) for name in wanted]


def feed(scenario: Scenario, video: Any, audio: Any, stop: threading.Event) -> None:
    """Pictures and sound until told to stop."""
    width, height = scenario.size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = (255, 0, 0)
    number = 0
    while not stop.wait(1 / 30):
        picture[:, number % width] = 255
        video.on_captured(picture)
        audio.on_data(
            (np.sin((np.arange(1600)[:, None] + number * 1600) * 0.0576) * 8000).astype(np.int16).repeat(2, 1)
        )
        number += 1


def main(name: str, urls: dict[str, str]) -> None:
    global c
    scenario = CLIENT[name]
    begin = time.monotonic()
    sora = Sora(**scenario.sora)
    options = {"signaling_urls": ["WS"], **scenario.options}
    options["signaling_urls"] = urls_of(options["signaling_urls"], urls)
    stop, feeder = threading.Event(), None
    if scenario.sources:
        video, audio = sora.create_video_source(), sora.create_audio_source(2, 48_000)
        options |= {"video_source": video, "audio_source": audio}
        feeder = threading.Thread(target=feed, args=(scenario, video, audio, stop))
    try:
        c = sora.create_connection(role=scenario.role, channel_id=scenario.channel, **options)
    except Exception as error:
        say(call="create_connection", error=f"{type(error).__name__}: {error}")
        return
    for callback in CALLBACKS:
        if callback not in scenario.silent:
            setattr(c, callback, recorder(callback, scenario.callbacks.get(callback)))
    for expression in scenario.before:
        call(expression)
    c.connect()
    if feeder:
        feeder.start()
    for second, expression in scenario.steps:
        time.sleep(max(0.0, begin + second - time.monotonic()))
        call(expression)
    time.sleep(max(0.0, begin + scenario.seconds - time.monotonic()))
    stop.set()
    if feeder:
        feeder.join()
    if scenario.end == "disconnect":
        c.disconnect()
        time.sleep(0.2)
    say(end=sora_sdk.__version__)
    if scenario.end == "hard":
        os._exit(0)
    if scenario.end != "leave":
        c = None
        tracks.clear()
        gc.collect()
        # The goodbye of a connection that nobody holds any more comes by itself.
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
