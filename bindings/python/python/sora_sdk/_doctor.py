"""doctor of the command line: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import Sora, SoraSignalingErrorCode, SoraVideoCodecImplementation, __version__, aio, get_video_codec_capability
from .devserver import DevServer
from ._errors import SoraConnectionError, SoraError
from ._media import MissingError, optional

_OK, _MISSING, _BROKEN = "ok", "--", "!!"
#: The first OpenH264 without CVE-2025-27091.
_MENDED_OPENH264 = (2, 5, 1)


def _say(mark: str, what: str, advice: str = "") -> None:
    print(f"[{mark}] {what}" + (f"\n     {advice}" if advice else ""), flush=True)


def has_decoder_flaw(version: str | None) -> bool:
    """True of an OpenH264 whose decoder can be made to write beyond its memory."""
    numbers = (version or "").split(".")
    return all(n.isdecimal() for n in numbers) and tuple(int(n) for n in numbers) < _MENDED_OPENH264


def _codecs(options: argparse.Namespace) -> bool:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engines = get_video_codec_capability(options.openh264).engines
    for engine in engines:
        for codec in engine.codecs:
            if codec.encoder or codec.decoder:
                can = " and ".join(n for n, there in (("encode", codec.encoder), ("decode", codec.decoder)) if there)
                version = codec.parameters.version
                _say(_OK, f"{codec.type.name}: {can} ({engine.name.name.lower()}{f' {version}' if version else ''})")
        flawed = {codec.parameters.version for codec in engine.codecs if has_decoder_flaw(codec.parameters.version)}
        if engine.name is SoraVideoCodecImplementation.CISCO_OPENH264 and flawed:
            advice = "use 2.5.1 or newer, unless your distribution has mended it under the old number"
            _say(_BROKEN, f"OpenH264 {', '.join(map(str, flawed))} has CVE-2025-27091 in its decoder", advice)
    for warning in caught:
        _say(_BROKEN, f"OpenH264: {warning.message}")
    if options.openh264 is None:
        advice = "name an OpenH264 library with Sora(openh264=...); Cisco's releases are on github.com/cisco/openh264"
        _say(_MISSING, "H.264", advice)
    return not caught


def _cameras(_: argparse.Namespace) -> bool:
    found = sorted(Path("/dev").glob("video*"))
    try:
        cv2 = optional("cv2", "opencv-python-headless", "a camera")
        _say(_OK, f"OpenCV {cv2.__version__}")
    except MissingError as error:
        _say(_MISSING, "OpenCV, for cameras and video files", str(error))
    for one in found:
        usable = os.access(one, os.R_OK | os.W_OK)
        _say(_OK if usable else _BROKEN, f"camera {one}", "" if usable else "no permission: join the group video")
    if not found:
        _say(_MISSING, "cameras", "there is no /dev/video*; --video takes a file, too")
    return True


def _sound(_: argparse.Namespace) -> bool:
    try:
        devices: list[dict[str, Any]] = list(
            optional("sounddevice", "sounddevice", "microphones and speakers").query_devices()
        )
    except MissingError as error:
        _say(_MISSING, "sounddevice, for microphones and speakers", str(error))
        return True
    for kind, key in (("microphones", "max_input_channels"), ("speakers", "max_output_channels")):
        names = [f"{number}: {one['name']}" for number, one in enumerate(devices) if one[key] > 0]
        if names:
            _say(_OK, f"{kind}: " + ", ".join(names))
        else:
            _say(_MISSING, kind, "the system lists none; is PulseAudio, PipeWire or ALSA running?")
    return True


def _loopback(_: argparse.Namespace) -> bool:
    async def connect(url: str) -> float:
        started = time.monotonic()
        async with aio.Connection(url, "doctor", timeout=10):
            return time.monotonic() - started

    try:
        with DevServer() as server:
            seconds = asyncio.run(connect(server.signaling_url))
    except (SoraError, RuntimeError) as error:
        _say(_BROKEN, f"a connection over this machine's loopback: {error}", "does a firewall block UDP on 127.0.0.1?")
        return False
    _say(_OK, f"a connection over this machine's loopback in {seconds * 1000:.0f} ms")
    return True


_ADVICE = {
    SoraSignalingErrorCode.WEBSOCKET_HANDSHAKE_FAILED: "is the URL right (wss://HOST/signaling), does a proxy or "
    "firewall stand between (proxy_url), is the certificate one this machine trusts (ca_cert)?",
    SoraSignalingErrorCode.WEBSOCKET_ONCLOSE: "the server closed the connection: access token, channel id and metadata "
    "are what it looks at",
    SoraSignalingErrorCode.INVALID_PARAMETER: "the URL or an argument is not usable",
    SoraSignalingErrorCode.ICE_FAILED: "signaling works and media does not: UDP is blocked and the server offers no "
    "TURN over TCP or TLS",
    SoraSignalingErrorCode.PEER_CONNECTION_STATE_FAILED: "signaling works and media does not: is UDP blocked?",
}


def _server(options: argparse.Namespace) -> bool:
    if options.url is None:
        return True

    async def connect() -> list[dict[str, Any]]:
        async with aio.Connection(
            options.url, options.channel, "recvonly", metadata=options.metadata, sora=Sora(), timeout=15
        ) as connection:
            return await connection.stats()

    started = time.monotonic()
    try:
        stats = asyncio.run(connect())
    except SoraConnectionError as error:
        _say(_BROKEN, f"{options.url}: {error}", _ADVICE.get(error.code, ""))
        return False
    except (SoraError, ValueError, RuntimeError) as error:
        _say(_BROKEN, f"{options.url}: {error}")
        return False
    _say(_OK, f"{options.url}: connected in {(time.monotonic() - started) * 1000:.0f} ms")
    reports = {one["id"]: one for one in stats}
    for pair in (one for one in stats if one["type"] == "candidate-pair" and one.get("nominated")):
        local, remote = reports.get(pair["localCandidateId"], {}), reports.get(pair["remoteCandidateId"], {})
        way = f"{local.get('candidateType')} over {local.get('relayProtocol') or local.get('protocol')}"
        _say(_OK, f"media goes from {way} to {remote.get('candidateType')}")
    return True


def _environment(_: argparse.Namespace) -> bool:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    _say(_OK, f"sora_sdk {__version__}, {python}, numpy {np.__version__}, {platform.platform()}")
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    _say(_OK, f"{cpus} CPUs")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        if name in os.environ:
            _say(_MISSING, f"{name} is set and not used", "give proxy_url to create_connection if it is needed")
    return True


def doctor(options: argparse.Namespace) -> int:
    """python -m sora_sdk doctor"""
    checks: list[Callable[[argparse.Namespace], bool]] = [_environment, _codecs, _cameras, _sound, _loopback, _server]
    good = [check(options) for check in checks]
    return 0 if all(good) else 1
