"""A child process whose output is read as it comes, with deadlines, and which can always be ended."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
TAIL_LINES = 40


class Child:
    """A subprocess with its standard output as a queue of lines and its standard error kept for messages."""

    def __init__(self, command: list[str], env: dict[str, str] | None = None) -> None:
        self.command = command
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True, errors="replace",
            cwd=HERE, env=env,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._seen: list[str] = []
        self._stderr: list[str] = []
        assert self._process.stdout and self._process.stderr
        self._readers = [
            threading.Thread(target=self._read_out, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_err, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_out(self, stream: IO[str]) -> None:
        for line in stream:
            self._seen.append(line)
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def _read_err(self, stream: IO[str]) -> None:
        for line in stream:
            self._stderr.append(line)

    def story(self) -> str:
        """The command and the ends of both outputs, for assertion messages."""
        return (
            f"{' '.join(self.command)}\nreturn code: {self._process.poll()}\n"
            f"--- stdout\n{''.join(self._seen[-TAIL_LINES:])}--- stderr\n{''.join(self._stderr[-TAIL_LINES:])}"
        )

    def line(self, wanted: Callable[[str], bool], deadline_s: float) -> str:
        """The next line of standard output that is `wanted`; raises AssertionError when it does not come in time."""
        end = time.monotonic() + deadline_s
        while True:
            try:
                line = self._lines.get(timeout=max(end - time.monotonic(), 0.001))
            except queue.Empty:
                raise AssertionError(f"no such line within {deadline_s} s\n{self.story()}") from None
            if line is None:
                raise AssertionError(f"the process ended before the line came\n{self.story()}")
            if wanted(line):
                return line

    def event(self, name: str, deadline_s: float) -> dict[str, Any]:
        """The next JSON line whose "event" is `name`."""
        found: dict[str, Any] = json.loads(
            self.line(lambda line: line.startswith("{") and json.loads(line).get("event") == name, deadline_s)
        )
        return found

    def result(self, deadline_s: float) -> dict[str, Any]:
        """The "result" event of a peer program that then must exit with code 0."""
        found = self.event("result", deadline_s)
        try:
            code = self._process.wait(15)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not exit after its result\n{self.story()}") from None
        assert code == 0, self.story()
        return found

    def write(self, text: str) -> None:
        """One line to the child's standard input."""
        assert self._process.stdin
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Asks the process to end, kills it if it does not, and closes the pipes."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        for reader in self._readers:
            reader.join(2)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


def start_peer(python: str, url: str, channel: str, role: str, **options: str | float | bool | None) -> Child:
    """peer_program.py under an interpreter; True gives a flag, None leaves the option out."""
    command = [python, "peer_program.py", "--url", url, "--channel", channel, "--role", role]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            command.append(option)
        elif value is not None and value is not False:
            command += [option, str(value)]
    return Child(command)
