"""The examples run: with what needs no device, and with PulseAudio, a file and a virtual screen standing in for devices."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import wave
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from sora_sdk.devserver import DevServer

EXAMPLES = Path(__file__).parents[1] / "examples/python"
LIMIT_S = 40.0


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with DevServer() as running:
        yield running


class Program:
    """An example that runs until the end of a with block; its lines can be waited for."""

    def __init__(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._command = [sys.executable, "-u", str(EXAMPLES / name), *arguments]
        self._env, self.text = {**os.environ, **(env or {})}, ""

    def __enter__(self) -> Program:
        self.process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._env
        )
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def wait_for(self, pattern: str) -> str:
        deadline = time.monotonic() + LIMIT_S
        while (found := re.search(pattern, self.text)) is None:
            assert self.process.stdout is not None
            more = self.process.stdout.read()
            self.text += (more or b"").decode()
            assert more != b"" or self.process.poll() is None, f"{self._command[2]} ended: {self.text}"
            assert time.monotonic() < deadline, f"{pattern} did not come: {self.text[-2000:]}"
            time.sleep(0.02)
        return found.group(0)

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            assert self.process.stdout is not None and self.process.stdin is not None
            self.text += (self.process.stdout.read() or b"").decode()
            self.process.stdout.close()
            self.process.stdin.close()
        assert "Traceback" not in self.text, self.text


def where(server: DevServer, channel: str) -> list[str]:
    return ["--url", server.signaling_url, "--channel", channel]


@pytest.fixture
def channel() -> str:
    return f"examples-{uuid.uuid4().hex}"


def test_send_and_receive_without_devices(server: DevServer, channel: str) -> None:
    with Program("receive.py", *where(server, channel), "--no-window", "--speaker", "none") as receiver:
        with Program("send.py", *where(server, channel), "--codec", "VP8"):
            receiver.wait_for(
                r"[2-9]\d pictures of \w+, \d{2,} 10 ms of sound|\d{2,} 10 ms of sound.*, [2-9]\d pictures"
            )


def test_messaging(server: DevServer, channel: str) -> None:
    with (
        Program("messaging.py", *where(server, channel)) as one,
        Program("messaging.py", *where(server, channel)) as two,
    ):
        for program in (one, two):
            program.wait_for("connected;")
        assert one.process.stdin is not None
        one.process.stdin.write("こんにちは\n".encode())
        one.process.stdin.flush()
        two.wait_for("#chat: こんにちは")


def speech(path: Path) -> None:
    """Half a second of what the detector takes for voice, then silence, as a file."""
    rate = 24_000
    time_s = np.arange(rate) / rate
    phase = np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.8 * time_s)) / rate
    sound = sum(np.sin(2 * np.pi * n * phase) / n for n in range(1, 20))
    samples = np.concatenate([3_000 * np.asarray(sound), np.zeros(rate)]).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", "not compressed"))
        file.writeframes(samples.tobytes())


@pytest.fixture
def speaker(server: DevServer, channel: str, tmp_path: Path) -> Iterator[None]:
    """Somebody in the channel who speaks and pauses."""
    speech(tmp_path / "speech.wav")
    command = [sys.executable, "-m", "sora_sdk", "send", *where(server, channel)]
    command += ["--video", "none", "--audio", str(tmp_path / "speech.wav")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        yield
        process.send_signal(signal.SIGINT)
        process.wait(10)


@pytest.mark.usefixtures("speaker")
def test_vad(server: DevServer, channel: str) -> None:
    with Program("vad.py", *where(server, channel)) as program:
        program.wait_for(r"\w+ speaks\n(.|\n)*has ended\n(.|\n)*speaks")


@pytest.mark.usefixtures("speaker")
def test_the_voice_agent_hears_out_and_answers(server: DevServer, channel: str) -> None:
    with Program("voice_agent.py", *where(server, channel)) as program:
        # The other speaks for a second, is silent for one; the answer may be interrupted by the next sentence.
        heard = program.wait_for(r"heard \d+\.\d s")
        assert 0.5 < float(heard.split()[1]) < 3


def test_recordings_can_be_played(server: DevServer, channel: str, tmp_path: Path) -> None:
    with Program("send.py", *where(server, channel)) as sender:
        sender.wait_for("connected")
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "record.py"), *where(server, channel), "--folder", str(tmp_path), "--seconds", "4"],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    ((sound,), (pictures,)) = (list(tmp_path.glob(f"*.{ending}")) for ending in ("wav", "mp4"))
    with wave.open(str(sound)) as file:
        assert file.getframerate() == 48_000 and 2 < file.getnframes() / 48_000 < 5
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(float)
    tone = np.abs(np.fft.rfft(samples[-48_000:] * np.hanning(48_000))).argmax()
    assert abs(int(tone) - 440) <= 1
    capture = cv2.VideoCapture(str(pictures))
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    taken, picture = capture.read()
    capture.release()
    assert taken and picture.shape == (720, 1280, 3) and 45 <= count <= 150


def test_faces_are_blurred_on_their_way(server: DevServer, channel: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    picture = np.full((360, 640, 3), (90, 120, 60), np.uint8)
    face = np.zeros((360, 640), np.uint8)
    cv2.ellipse(face, (320, 180), (70, 90), 0, 0, 360, 255, -1)
    picture[face > 0] = (140, 170, 220)
    # Features of a face, so that there is something to blur.
    grain = rng.normal(0, 1, (45, 80, 1)).repeat(8, 0).repeat(8, 1) * 12
    picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    video = cv2.VideoWriter(str(tmp_path / "face.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (640, 360))
    for _ in range(30):
        video.write(picture)
    video.release()
    with Program("face_blur.py", *where(server, channel), "--to", f"{channel}-blurred") as blurring:
        blurring.wait_for("connected")
        with Program("send.py", *where(server, channel), "--video", str(tmp_path / "face.avi"), "--audio", "none"):
            recorded = tmp_path / "recorded"
            done = subprocess.run(
                [sys.executable, str(EXAMPLES / "record.py"), *where(server, f"{channel}-blurred"),
                 "--folder", str(recorded), "--seconds", "5"],
                capture_output=True, text=True, timeout=LIMIT_S, check=False,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    capture = cv2.VideoCapture(str(next(recorded.glob("*.mp4"))))
    last = None
    while (read := capture.read())[0]:
        last = read[1]
    capture.release()
    assert last is not None
    middle, outside = (slice(140, 220), slice(290, 350)), (slice(140, 220), slice(20, 120))

    def detail(where: tuple[slice, slice], of: np.ndarray) -> float:
        return float(of[where].std(axis=(0, 1)).mean())

    assert detail(middle, last) < 0.5 * detail(middle, picture)
    assert detail(outside, last) > 0.5 * detail(outside, picture)


def test_encrypted_frames_are_seen_by_who_has_the_key_and_by_nobody_else(server: DevServer, channel: str) -> None:
    with (
        Program("encrypted.py", *where(server, channel), "--key", "right", "receive") as friend,
        Program("encrypted.py", *where(server, channel), "--key", "wrong", "receive") as stranger,
        Program("encrypted.py", *where(server, channel), "--key", "right", "send"),
    ):
        friend.wait_for(r"the first picture: \(360, 640, 3\)")
        friend.wait_for(r"[1-9]\d\d audio")
        stranger.wait_for(r"[1-9]\d audio refused.* [1-9]\d video refused")
        assert "the first picture" not in stranger.text


@pytest.mark.parametrize("spread", [[], ["--ray"]], ids=["processes", "ray"])
def test_many_channels_in_processes_of_their_own(server: DevServer, channel: str, spread: list[str]) -> None:
    if spread:
        pytest.importorskip("ray", reason="ray is not installed; it is not made for every Python")
    with (
        Program("send.py", *where(server, f"{channel}-1")) as one,
        Program("send.py", *where(server, f"{channel}-2")) as two,
    ):
        for program in (one, two):
            program.wait_for("connected")
        command = [sys.executable, str(EXAMPLES / "many_channels.py"), "--url", server.signaling_url]
        command += ["--channel", f"{channel}-1", f"{channel}-2", "--seconds", "4", *spread]
        # Ray would leave a token in the home directory, and starts slowly.
        env = {**os.environ, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("'pictures': ") == 2


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A sound server with a null sink: what is played there is what its microphone hears."""
    pytest.importorskip("sounddevice", exc_type=ImportError, reason="sounddevice or PortAudio is missing")
    if shutil.which("pulseaudio") is None:
        pytest.skip("pulseaudio is missing")
    folder = tmp_path_factory.mktemp("pulse")
    socket, config = folder / "socket", folder / "asound.conf"
    # PortAudio knows ALSA; ALSA's pulse plugin leads here.
    config.write_text(
        f'<confdir:alsa.conf>\npcm.!default {{ type pulse server "unix:{socket}" }}\n'
        f'ctl.!default {{ type pulse server "unix:{socket}" }}\n'
    )
    env = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "ALSA_CONFIG_PATH": str(config)}
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disallow-exit"]
    command += ["-L", f"module-native-protocol-unix socket={socket} auth-anonymous=1"]
    command += ["-L", "module-null-sink sink_name=null rate=48000"]
    with subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as daemon:
        deadline = time.monotonic() + LIMIT_S
        while not socket.exists():
            assert time.monotonic() < deadline and daemon.poll() is None, "pulseaudio does not start"
            time.sleep(0.02)
        yield env
        daemon.kill()


def test_a_microphone_and_a_speaker(server: DevServer, channel: str, pulse: dict[str, str], tmp_path: Path) -> None:
    """What is heard by the microphone is what was played on the speaker: twice through the SDK, once through PulseAudio."""
    first, second = f"{channel}-1", f"{channel}-2"
    with Program("receive.py", *where(server, first), "--no-window", env=pulse) as player:
        player.wait_for("connected")
        with Program("send.py", *where(server, first), "--video", "none"):
            player.wait_for(r"[2-9]\d\d* blocks played")
            with Program(
                "send.py", *where(server, second), "--video", "none", "--audio", "default", env=pulse
            ) as hearing:
                hearing.wait_for("connected")
                done = subprocess.run(
                    [sys.executable, str(EXAMPLES / "record.py"), *where(server, second),
                     "--folder", str(tmp_path), "--seconds", "5"],
                    capture_output=True, text=True, timeout=LIMIT_S, check=False,
                )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with wave.open(str(next(tmp_path.glob("*.wav")))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")[::2].astype(float)
    spectrum = np.abs(np.fft.rfft(samples[-48_000:] * np.hanning(48_000)))
    assert abs(int(spectrum.argmax()) - 440) <= 1 and np.abs(samples[-48_000:]).max() > 1000


def test_a_camera_file_and_a_window(server: DevServer, channel: str, tmp_path: Path) -> None:
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is missing")
    if re.search(r"GUI:\s+NONE", cv2.getBuildInformation()):
        pytest.skip("this OpenCV has no windows")
    video = cv2.VideoWriter(str(tmp_path / "camera.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30, (640, 360))
    for number in range(60):
        video.write(np.full((360, 640, 3), (number * 4, 128, 255 - number * 4), np.uint8))
    video.release()
    read, write = os.pipe()
    screen = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24"], pass_fds=[write])
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            display = {"DISPLAY": f":{pipe.readline().strip()}"}
        with Program("receive.py", *where(server, channel), "--speaker", "none", env=display) as receiver:
            receiver.wait_for("connected")
            with Program(
                "send.py", *where(server, channel), "--video", str(tmp_path / "camera.avi"), "--audio", "none"
            ):
                receiver.wait_for(r"[3-9]\d pictures of")
    finally:
        screen.kill()
        screen.wait()
