"""Processes: forks, workers that get frames, sub-interpreters, threads of a pool, Ctrl+C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from conftest import run_script, tone

from sora_sdk import Sora, SoraAudioFrame, SoraAudioSink, SoraVAD

FORK = """
import multiprocessing, os, sys, threading, warnings
import numpy as np
import sora_sdk
from sora_sdk import Sora, SoraAudioSink, SoraAudioStreamSink, SoraVAD, SoraVideoSink

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of any fork of a process with threads.
url = sys.argv[1]

def connect(channel):
    connected = threading.Event()
    connection = Sora().create_connection(signaling_urls=[url], role="sendrecv", channel_id=channel, audio=True)
    connection.on_notify = lambda text: connected.set()
    connection.connect()
    assert connected.wait(10)
    return connection

def child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "the child failed"

def refused(call):
    try:
        call()
    except RuntimeError as error:
        assert "forked" in str(error) and "spawn" in str(error), error
    else:
        raise AssertionError("not refused")
"""


def test_a_child_of_a_process_that_only_imported_may_do_everything(url: str) -> None:
    ran = run_script(
        FORK
        + textwrap.dedent("""
        source = Sora().create_audio_source(1, 48_000)

        def work():
            sink = SoraAudioSink(source)
            source.on_data(np.zeros((480, 1), np.int16))
            assert sink.read(480, 5)[0]
            connect("fork-child").disconnect()

        child(work)
        child(work)
        connect("fork-parent").disconnect()
        """),
        url,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_child_of_a_connected_process_is_refused_and_ends(url: str) -> None:
    ran = run_script(
        FORK
        + textwrap.dedent("""
        connection = connect("fork-refused")
        audio, video = Sora().create_audio_source(1, 48_000), Sora().create_video_source()
        buffer = SoraAudioSink(audio)

        def work():
            refused(Sora)
            refused(connection.connect)
            refused(connection.disconnect)
            refused(connection.get_stats)
            refused(lambda: connection.send_data_channel("#a", b""))
            refused(lambda: audio.on_data(np.zeros((480, 1), np.int16)))
            refused(lambda: video.on_captured(np.zeros((48, 64, 3), np.uint8)))
            sink = SoraVideoSink(video)
            refused(lambda: setattr(sink, "on_frame", print))
            refused(lambda: buffer.read(1, 10))
            assert SoraVAD() is not None

        child(work)
        child(lambda: None)
        connection.disconnect()
        """),
        url,
    )
    assert ran.returncode == 0, ran.stderr


def test_a_worker_that_is_spawned_works(url: str, tmp_path: object) -> None:
    script = os.path.join(str(tmp_path), "spawned.py")
    with open(script, "w") as file:
        file.write(
            FORK
            + textwrap.dedent("""
            def work(frames, pictures):
                connect("spawn-child").disconnect()
                vad = SoraVAD()
                assert [one.data().shape for one in pictures] == [(48, 64, 3)]
                return [vad.analyze(frame) for frame in frames], [frame.data().sum() for frame in frames]

            if __name__ == "__main__":
                connection = connect("spawn-parent")
                source = Sora().create_audio_source(1, 24_000)
                frames, enough = [], threading.Event()
                sink = SoraAudioStreamSink(source)
                sink.on_frame = lambda frame: (frames.append(frame), len(frames) == 5 and enough.set())
                source.on_data(np.full((1_200, 1), 7, np.int16))
                assert enough.wait(5)
                camera, pictures, seen = Sora().create_video_source(), [], threading.Event()
                show = SoraVideoSink(camera)
                show.on_frame = lambda frame: (pictures.append(frame), seen.set())
                camera.on_captured(np.zeros((48, 64, 3), np.uint8))
                assert seen.wait(5)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    probabilities, sums = pool.apply(work, (frames, pictures))
                assert sums == [1_680] * 5 and len(probabilities) == 5
                connection.disconnect()
            """)
        )
    ran = subprocess.run([sys.executable, "-X", "dev", script, url], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr


def test_threads_of_a_pool_share_everything() -> None:
    source = Sora().create_audio_source(1, 24_000)
    sink = SoraAudioSink(source)

    def work(number: int) -> float:
        source.on_data(tone(number * 240, 240, 24_000))
        frame = SoraAudioFrame.__new__(SoraAudioFrame)
        frame.__setstate__(([0] * 240, 240, 1, 24_000, None))
        return SoraVAD().analyze(frame)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(400))) == [0.0] * 400
    ok, data = sink.read(400 * 240, 5)
    assert ok
    assert data is not None
    assert data.shape == (400 * 240, 1)
    assert data.dtype == np.int16


def test_a_sub_interpreter_is_refused_clearly() -> None:
    ran = run_script("""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
inner = "try:\\n import sora_sdk\\nexcept ImportError as error:\\n print('refused:', error)"
interpreter = interpreters.create()
failed = interpreters.run_string(interpreter, inner)
print("failed:", failed)
""")
    assert ran.returncode == 0, ran.stderr
    assert "refused:" in ran.stdout, (ran.stdout, ran.stderr)
    assert "main interpreter" in ran.stdout


def test_ctrl_c_ends_whatever_waits(url: str) -> None:
    script = """
import os, signal, sys, threading
from sora_sdk import Sora, SoraAudioSink

# Whoever started this may ignore the signal, and that is handed down.
signal.signal(signal.SIGINT, signal.default_int_handler)
sink = SoraAudioSink(Sora().create_audio_source(1, 48_000))
try:
    print("waiting", flush=True)
    sink.read(480, 60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline() == "interrupted\n"
    assert child.wait(10) == 0
    child.stdout.close()
