"""python -m sora_sdk, and the fixtures for the tests of others."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_until

from sora_sdk import Sora, aio
from sora_sdk._commands import free_path
from sora_sdk._doctor import has_decoder_flaw
from sora_sdk.testing import DevServer

PROGRAM = [sys.executable, "-X", "dev", "-W", "error", "-m", "sora_sdk"]


def run(*arguments: str, limit: float = 60) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run([*PROGRAM, *arguments], check=False, capture_output=True, text=True, timeout=limit)
    # asyncio's debug mode complains of steps that take more than 0.1 s, which tells how busy the machine is.
    ran.stderr = re.sub(r"^Executing <.* seconds\n", "", ran.stderr, flags=re.MULTILINE)
    return ran


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with DevServer("--stats-interval", "1") as running:
        yield running


def test_the_demo_works_and_says_so() -> None:
    ran = run("demo", "--seconds", "2", "--size", "320x240", "--codec", "vp8", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    result = json.loads(ran.stdout)
    assert result["worked"] and result["size"] == "320x240" and result["codec"] == "VP8"
    assert result["pictures_sent"] == 60 and 54 <= result["pictures_received"] <= 60


def test_the_doctor_tells_what_there_is_and_what_to_do() -> None:
    ran = run("doctor", "--openh264", "/nowhere/libopenh264.so", "--url", "ws://127.0.0.1:9/signaling")
    assert (ran.returncode, ran.stderr) == (1, "")
    for line in ("[ok] VP9: encode and decode", "[!!] OpenH264: ", "[ok] a connection over this machine's loopback"):
        assert line in ran.stdout
    assert "[!!] ws://127.0.0.1:9/signaling: WEBSOCKET_HANDSHAKE_FAILED" in ran.stdout
    assert "is the URL right" in ran.stdout


@pytest.mark.parametrize(
    ("version", "flawed"),
    [("2.3.1", True), ("2.5.0", True), ("2.5.1", False), ("2.10.0", False), (None, False), ("x", False)],
)
def test_the_doctor_knows_which_openh264_is_flawed(version: str | None, flawed: bool) -> None:
    assert has_decoder_flaw(version) is flawed


def test_the_doctor_tries_a_server(server: DevServer) -> None:
    ran = run("doctor", "--url", server.signaling_url)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "media goes from host over udp to host" in ran.stdout


def test_a_reader_that_has_had_enough_ends_the_program_without_a_word() -> None:
    with subprocess.Popen([*PROGRAM, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None and program.stderr is not None
        program.stdout.readline()
        program.stdout.close()
        complaints = re.sub(r"^Executing <.* seconds\n", "", program.stderr.read(), flags=re.MULTILINE)
    assert (program.returncode, complaints) == (141, "")


@pytest.mark.parametrize(
    "words",
    [["recv", "--record", "/proc/nope"], ["send", "--seconds", "0.5", "--video", "/nope.mp4"]],
    ids=["no place to record to", "no file to send"],
)
def test_what_cannot_be_opened_is_one_line_and_a_failure(server: DevServer, channel: str, words: list[str]) -> None:
    ran = run(words[0], "--url", server.signaling_url, "--channel", channel, *words[1:])
    assert ran.returncode == 1
    assert ran.stderr.startswith("sora_sdk: ") and len(ran.stderr.splitlines()) == 1, ran.stderr


def test_a_recording_leaves_an_earlier_one_alone(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        names.append(free_path(tmp_path / "a.wav").name)
        (tmp_path / names[-1]).touch()
    assert names == ["a.wav", "a-2.wav", "a-3.wav"]


def test_what_is_sent_is_received_and_recorded(server: DevServer, channel: str, tmp_path: Path) -> None:
    where = ["--url", server.signaling_url, "--channel", channel]
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        file.writeframes((8000 * np.sin(np.arange(16_000) * 2 * np.pi * 440 / 16_000)).astype("<i2").tobytes())
    sending = [*PROGRAM, "send", *where, "--video", "none", "--audio", str(tmp_path / "tone.wav")]
    with subprocess.Popen(sending, stdout=subprocess.PIPE, text=True) as sender:
        assert sender.stdout is not None and sender.stdout.readline().startswith("connected as ")
        received = run("recv", *where, "--record", str(tmp_path / "got"), "--seconds", "3")
        watched = run("stats", *where, "--interval", "0.5", "--seconds", "2")
        sender.send_signal(signal.SIGINT)
        assert "blocks of sound; sent: " in sender.stdout.read()
    assert sender.returncode == 130
    assert (received.returncode, received.stderr) == (0, ""), received
    assert "track: audio of " in received.stdout and "audio: " in received.stdout.splitlines()[-1]
    (recorded,) = (tmp_path / "got").glob("*-audio.wav")
    with wave.open(str(recorded)) as file:
        assert file.getparams()[:3] == (2, 2, 48_000)
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(float)
    assert len(sound) > 48_000
    spectrum = np.abs(np.fft.rfft(sound[-48_000:] * np.hanning(48_000)))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert watched.returncode == 0, watched.stderr
    assert re.search(r"audio \d+ \d+ kbit/s, 0 lost; round trip \d+\.\d ms", watched.stdout), watched.stdout


def test_a_server_that_is_not_there_is_one_line() -> None:
    ran = run("recv", "--url", "ws://127.0.0.1:9/signaling", "--channel", "x")
    assert ran.returncode == 1 and ran.stdout == ""
    assert ran.stderr.startswith("sora_sdk: WEBSOCKET_HANDSHAKE_FAILED: ") and ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["send", "--video", "/nowhere.mp4"], "sora_sdk: "),
        (["send", "--audio", "/nowhere.wav"], "sora_sdk: /nowhere.wav: "),
        (["send", "--video", "none", "--audio", "none"], "leave nothing to send"),
        (["recv", "--metadata", "{"], "expected JSON"),
        (["send", "--size", "big"], "expected WIDTHxHEIGHT"),
        (["recv", "--seconds", "-1"], "above 0"),
    ],
)
def test_what_cannot_be_done_is_said(server: DevServer, channel: str, words: list[str], says: str) -> None:
    ran = run(words[0], "--url", server.signaling_url, "--channel", channel, *words[1:])
    assert ran.returncode in (1, 2) and says in ran.stderr and "Traceback" not in ran.stderr


def test_the_development_server_as_a_command() -> None:
    command = [*PROGRAM, "devserver", "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and json.loads(process.stdout.readline())["ready"] is True
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    ran = run("devserver", "--listen", "nowhere")
    assert ran.returncode == 2 and "--listen" in ran.stderr
    assert "--jwt-secret" in run("devserver", "--help").stdout


def test_the_server_is_gone_with_who_started_it() -> None:
    script = """
import os
from sora_sdk.testing import DevServer
server = DevServer().start()
print(server._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=30)
    number = int(ran.stdout)

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    wait_until(is_gone, "the server's end")


def test_a_server_that_does_not_start_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="did not start"):
        DevServer("--no-such-option").start()
    assert "--no-such-option" in capfd.readouterr().err
    with pytest.raises(RuntimeError, match="not running"):
        _ = DevServer().signaling_url


def test_the_fixtures_bring_a_server_to_the_tests_of_others(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["sora_sdk.testing"]\n')
    (tmp_path / "test_bot.py").write_text(
        """
import asyncio
import pytest
from sora_sdk import aio

@pytest.mark.parametrize("way", ["a/b c", "日本"])
def test_bot(sora_server, sora_channel, way):
    async def main():
        async with aio.Connection(sora_server.signaling_url, sora_channel) as connection:
            async for notification in connection.notifications():
                assert notification["channel_connections"] == 1
                return
    asyncio.run(main())
"""
    )
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    ran = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, env=environment, cwd=tmp_path
    )
    assert ran.returncode == 0 and "2 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_modules_are_there_without_being_asked_for() -> None:
    assert aio.Connection is not None and Sora is not None
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, sora_sdk; assert 'asyncio' not in sys.modules and 'pytest' not in sys.modules",
        ],
        check=False,
    )
    assert ran.returncode == 0
