"""How speech sounds after bad networks: our receive buffer on a virtual clock, then live beside the reference.

SORA_DEVSERVER, SORA_AUDIO_NETWORK and SORA_REFERENCE_PYTHON name the server, the simulation and the other interpreter.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pesq import pesq

from impairment import Network, serve
from speech import RATE, clips, save

LIVE = [
    Network("clean"),
    Network("loss-10", loss=0.1),
    Network("jitter-20", jitter_ms=20.0),
    Network("jitter-20-loss-5", loss=0.05, jitter_ms=20.0),
]
PAUSE = np.zeros(RATE, np.int16)
HERE = Path(__file__).parent


def quality(said: Any, heard: Any, speech: list[Any]) -> float:
    """Mean PESQ-WB of the clips, found in what was heard by the whole's delay."""
    size = 1 << int(np.ceil(np.log2(len(said) + len(heard))))
    product = np.fft.irfft(
        np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(said.astype(float), size)), size
    )
    shift = int(np.argmax(product))
    shift -= size if shift > size // 2 else 0
    scores, at = [], len(PAUSE)
    for clip in speech:
        begin = max(at + shift, 0)
        scores.append(pesq(RATE, clip, heard[begin : begin + len(clip) + RATE // 4], "wb"))
        at += len(clip) + len(PAUSE)
    return float(np.mean(scores))


def simulated(said: Any, speech: list[Any], folder: Path) -> None:
    path = save(said, folder / "speech")
    program = [os.environ["SORA_AUDIO_NETWORK"], str(RATE), str(path), str(folder)]
    lines = subprocess.run(program, check=True, capture_output=True, text=True).stdout.splitlines()
    print("| network | PESQ-WB | buffer ms | concealed % | rebuilt | inserted + removed ms | us per 10 ms |")
    print("|---|---|---|---|---|---|---|")
    for line in lines:
        account = json.loads(line)
        heard = np.fromfile(folder / f"{account['network']}.16k", np.int16)
        print(
            f"| {account['network']} | {quality(said, heard, speech):.2f} | {account['waits_ms']:.0f} "
            f"| {100 * account['concealed']:.1f} | {account['recovered']} "
            f"| {account['inserted_ms']:.0f} + {account['removed_ms']:.0f} | {account['us_per_frame']:.0f} |",
            flush=True,
        )


async def line(process: Any, wanted: str) -> None:
    while True:
        text = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()
        if text == wanted:
            return
        if not text:
            raise RuntimeError(f"ended before it said {wanted!r}")


async def start(python: str, what: str, url: str, file: Path) -> Any:
    command = [python, str(HERE / "peer.py"), what, url, str(file)]
    return await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


async def live(server: str, network: Network, said: Any, speech: list[Any], folder: Path) -> None:
    path = save(said, folder / "said")
    pythons = {"ours": sys.executable, "reference": os.environ["SORA_REFERENCE_PYTHON"]}
    talker = await start(sys.executable, "talk", server, path)
    await line(talker, "connected")
    listeners, runners = {}, []
    for name, python in pythons.items():
        runner, url, relays = await serve(server, network)
        runners.append(runner)
        listeners[name] = (await start(python, "listen", url, folder / name), relays)
        await line(listeners[name][0], "track")
    await asyncio.sleep(1)
    await talker.communicate(b"go\n")
    for name, (listener, relays) in listeners.items():
        output, _ = await listener.communicate(b"")
        account = json.loads(output.decode().strip().splitlines()[-1])
        heard = np.fromfile(folder / name, np.int16)
        emitted = max(account.get("jitterBufferEmittedCount", 0), 1)
        received = max(account.get("totalSamplesReceived", 0), 1)
        print(
            f"| {network.name} | {name} | {quality(said, heard, speech):.2f} "
            f"| {1000 * account.get('jitterBufferDelay', 0) / emitted:.0f} "
            f"| {100 * account.get('concealedSamples', 0) / received:.1f} "
            f"| {account.get('insertedSamplesForDeceleration', 0) / 48:.0f} "
            f"+ {account.get('removedSamplesForAcceleration', 0) / 48:.0f} "
            f"| {max(relay.packets for relay in relays)} |",
            flush=True,
        )
        for relay in relays:
            relay.close()
    for runner in runners:
        await runner.cleanup()


async def all_live(said: Any, speech: list[Any], folder: Path) -> None:
    program = [os.environ["SORA_DEVSERVER"], "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["signaling_url"]
            print("| network | receiver | PESQ-WB | buffer ms | concealed % | inserted + removed ms | packets |")
            print("|---|---|---|---|---|---|---|")
            for network in LIVE:
                await live(url, network, said, speech, folder)
            print("\nCPU seconds per minute of an undisturbed call, the Python programs included\n")
            print("| package | talking | listening |\n|---|---|---|", flush=True)
            await calls(url, said, folder)
        finally:
            server.terminate()


async def calls(url: str, said: Any, folder: Path) -> None:
    """Processor time of a call, each package at both ends."""
    path = save(said, folder / "said")
    for name, python in {"ours": sys.executable, "reference": os.environ["SORA_REFERENCE_PYTHON"]}.items():
        talker = await start(python, "talk", url, path)
        await line(talker, "connected")
        listener = await start(python, "listen", url, folder / name)
        await line(listener, "track")
        talked, _ = await talker.communicate(b"go\n")
        listened, _ = await listener.communicate(b"")
        talk, listen = (json.loads(output.decode().strip().splitlines()[-1])["cpu"] for output in (talked, listened))
        print(f"| {name} | {talk:.2f} | {listen:.2f} |", flush=True)


def main() -> None:
    source, speech = clips()
    said = np.concatenate([PAUSE, *(part for clip in speech for part in (clip, PAUSE))])
    with tempfile.TemporaryDirectory() as name:
        print(f"Our receive buffer on a virtual clock, {source}, Opus at 32 kbit/s, packets of 20 ms\n", flush=True)
        simulated(said, speech, Path(name))
        print("\nLive: one talker, both receivers at once, each behind a network with the same fates\n", flush=True)
        asyncio.run(all_live(said, speech, Path(name)))


if __name__ == "__main__":
    main()
