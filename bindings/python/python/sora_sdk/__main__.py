"""The command line: python -m sora_sdk."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import __version__, enable_libwebrtc_log, sora_sdk_ext
from ._enums import SoraLoggingSeverity
from ._errors import SoraError
from ._media import MissingError


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    try:
        size = int(width), int(height)
    except ValueError:
        size = 0, 0
    if not all(16 <= side <= 16_384 for side in size):
        raise argparse.ArgumentTypeError(f"expected WIDTHxHEIGHT, for example 1280x720, got {text!r}")
    return size


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected JSON: {error}") from error


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def _connection_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", action="append", required=True, help="signaling URL; may be given several times")
    parser.add_argument("--channel", required=True, help="channel id")
    parser.add_argument("--metadata", type=_object, help="metadata for authentication, as JSON")
    parser.add_argument("--client-id", help="client id")
    parser.add_argument("--openh264", metavar="FILE", help="OpenH264 library, for H.264")
    parser.add_argument("--ca-cert", metavar="FILE", help="certificate authority of the server, PEM")
    parser.add_argument("--insecure", action="store_true", help="do not check the server's certificate")
    parser.add_argument("--seconds", type=_positive, help="end after so long (default: Ctrl+C)")


def _video_arguments(parser: argparse.ArgumentParser) -> None:
    codecs = ["VP8", "VP9", "AV1", "H264"]
    parser.add_argument("--codec", choices=codecs, default="VP9", type=str.upper, help="video codec (default: VP9)")
    parser.add_argument("--size", type=_size, default=(1280, 720), help="picture size (default: 1280x720)")
    parser.add_argument("--frame-rate", type=_positive, default=30.0, help="pictures per second (default: 30)")
    parser.add_argument("--bit-rate", type=int, help="kilobits per second of video")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sora_sdk", description="WebRTC client for the SFU Sora.")
    parser.add_argument("--version", action="version", version=f"sora_sdk {__version__}")
    parser.add_argument("--log", choices=["info", "verbose"], help="write what happens to stderr")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="send pictures and sound to yourself through a server of its own, measured")
    demo.add_argument("--seconds", type=_positive, default=5.0, help="how long (default: 5)")
    demo.add_argument("--openh264", metavar="FILE", help="OpenH264 library, for H.264")
    demo.add_argument("--json", action="store_true", help="print the result as JSON")
    _video_arguments(demo)

    send = commands.add_parser("send", help="send pictures and sound to a channel")
    _connection_arguments(send)
    _video_arguments(send)
    video = "test (default), none, a file, camera, camera:NUMBER or /dev/videoN"
    audio = "test (default), none, a file, microphone or microphone:DEVICE"
    send.add_argument("--video", default="test", metavar="WHAT", help=video)
    send.add_argument("--audio", default="test", metavar="WHAT", help=audio)
    send.add_argument("--simulcast", action="store_true", help="send several sizes at once")

    recv = commands.add_parser("recv", help="receive what is sent to a channel")
    _connection_arguments(recv)
    recv.add_argument("--record", metavar="FOLDER", help="write each track to a file: WAV, and MP4 with OpenCV")
    recv.add_argument("--show", action="store_true", help="show pictures in a window")
    recv.add_argument("--play", action="store_true", help="play sound")

    stats = commands.add_parser("stats", help="watch the statistics of a receiving connection")
    _connection_arguments(stats)
    stats.add_argument("--interval", type=_positive, default=1.0, help="seconds between two lines (default: 1)")
    stats.add_argument("--json", action="store_true", help="print all of them, a line of JSON each time")

    doctor = commands.add_parser("doctor", help="what works on this machine, and what to do about the rest")
    doctor.add_argument("--openh264", metavar="FILE", help="OpenH264 library to look at")
    doctor.add_argument("--url", help="a server to try")
    doctor.add_argument("--channel", default="sora-sdk-doctor", help="channel to try it with")
    doctor.add_argument("--metadata", type=_object, help="metadata for authentication, as JSON")

    commands.add_parser("devserver", help="run the development server; see its --help", add_help=False)
    return parser


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    # Only what the command needs is imported: some of it takes its time.
    if name == "demo":
        from ._demo import demo

        return demo
    if name == "doctor":
        from ._doctor import doctor

        return doctor
    from . import _commands

    return {"send": _commands.send, "recv": _commands.receive, "stats": _commands.stats}[name]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; returns the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["devserver"]:
        # One that belongs to a program says only what is wrong.
        quiet = "--end-with-stdin" in words
        enable_libwebrtc_log(SoraLoggingSeverity.WARNING if quiet else SoraLoggingSeverity.INFO)
        try:
            return sora_sdk_ext._devserver(["python -m sora_sdk devserver", *words[1:]])
        except KeyboardInterrupt:
            return 0
    options = _parser().parse_args(words)
    if options.log is not None:
        enable_libwebrtc_log(getattr(SoraLoggingSeverity, options.log.upper()))
    try:
        status = _command(options.command)(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read it has had enough; Python must not try to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        print(f"sora_sdk: {error}", file=sys.stderr)
        return 1
    except (SoraError, MissingError, ValueError, RuntimeError) as error:
        print(f"sora_sdk: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
