"""The development server as a process beside this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

__all__ = ["DevServer"]

_STOP_S = 5.0


class DevServer:
    """A Sora-compatible server on this machine, for development and tests: no licence, no network.

    It listens on free ports of 127.0.0.1 while in a `with` block, and ends with this process at the latest. options are
    those of `python -m sora_sdk devserver`, see its --help.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._urls: dict[str, str] = {}

    @property
    def signaling_url(self) -> str:
        """What to give a connection as its signaling URL."""
        return self._url("signaling_url")

    @property
    def api_url(self) -> str:
        """Where the HTTP API is."""
        return self._url("api_url")

    def _url(self, name: str) -> str:
        if name not in self._urls:
            raise RuntimeError("the development server is not running; use it in a with block or call start()")
        return self._urls[name]

    def start(self) -> DevServer:
        """Starts it and waits until it listens. RuntimeError if it does not; what it wrote is on stderr."""
        if self._process is not None:
            return self
        command = [sys.executable, "-m", "sora_sdk", "devserver", "--end-with-stdin"]
        command += ["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", *self._options]
        # The same package, whatever made it importable here.
        paths = [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert process.stdout is not None
        self._process = process
        line = process.stdout.readline()
        try:
            ready = json.loads(line)
            self._urls = {name: ready[name] for name in ("signaling_url", "api_url")}
        except (ValueError, KeyError, TypeError):
            self.stop()
            raise RuntimeError(f"the development server did not start (status {process.returncode})") from None
        return self

    def stop(self) -> None:
        """Ends it. Does nothing if it does not run."""
        process, self._process, self._urls = self._process, None, {}
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def __enter__(self) -> DevServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
