"""Every way a session can go, against a server of another kind, compared with what the reference was seen to do.

scenario_records.json has the callbacks that sora_sdk 2024.3.0 made in each scenario, in order. What ours does otherwise
on purpose is in scenario_differences.py, each with its reason; anything else is a fault.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from child import HERE, Child
from network import Authority
from scenario_differences import DIFFERENCES, TEXTS
from scenario_table import CLIENT

pytestmark = pytest.mark.timeout(300)

RECORDS: dict[str, dict[str, Any]] = json.loads((HERE / "scenario_records.json").read_text())
AT_ONCE = 4
#: Beyond the scenario's own time: imports, connecting, the time limits of endings.
MARGIN_S = 30.0

Callbacks = list[list[Any]]


class Runs:
    """Runs all scenarios, a few at a time, each in an interpreter of its own; the longest first."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = json.dumps(urls)
        self._todo: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._done = {name: threading.Event() for name in CLIENT}
        self._results: dict[str, subprocess.CompletedProcess[str] | Exception] = {}
        for name in sorted(CLIENT, key=lambda name: -CLIENT[name].seconds):
            self._todo.put(name)
        for _ in range(AT_ONCE):
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while not self._todo.empty():
            try:
                name = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._results[name] = subprocess.run(
                    [sys.executable, "scenario_client.py", name, self._urls],
                    check=False, cwd=HERE, capture_output=True, text=True, timeout=CLIENT[name].seconds + MARGIN_S,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                self._results[name] = error
            self._done[name].set()

    def result(self, name: str) -> subprocess.CompletedProcess[str]:
        assert self._done[name].wait(280), "the scenarios before this one take too long"
        result = self._results[name]
        if isinstance(result, Exception):
            raise AssertionError(str(result)) from result
        return result


@pytest.fixture(scope="module")
def runs(our_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """All scenarios, started."""
    pytest.importorskip("aiortc")
    pytest.importorskip("aiohttp")
    pair = Authority(tmp_path_factory.mktemp("tls")).server("scenarios", ["127.0.0.1"])
    server = Child([our_python, "scenario_server.py", str(pair.cert_path), str(pair.key_path)])
    try:
        ready = server.event("ready", 20)
        yield Runs({name: ready[name] for name in ("ws", "wss", "silent", "slamming")})
    finally:
        server.end()


def short(name: str, arguments: list[Any]) -> list[Any]:
    """One callback as the records have it."""
    if name == "on_set_offer":
        return [name]
    if name == "on_track":
        return [name, *arguments[1:3]]
    if name == "on_notify":
        return [name, json.loads(arguments[0])["event_type"]]
    return [name, *arguments]


def told(output: str) -> Callbacks:
    lines = [json.loads(line) for line in output.splitlines()]
    return [short(line["callback"], line["arguments"]) for line in lines if "callback" in line]


def comparable(callbacks: Callbacks) -> tuple[Callbacks, list[str]]:
    """Callbacks in order, and the labels that opened: those come by another way than the rest, in any order."""
    order = [call for call in callbacks if call[0] not in ("on_data_channel", "on_ws_close")]
    # 2024 tells of the application's labels, 2025 of all.
    labels = sorted(call[1] for call in callbacks if call[0] == "on_data_channel" and call[1].startswith("#"))
    return order, labels


def expected(name: str) -> Callbacks:
    """What the reference did, in the words of 2025."""
    difference = DIFFERENCES.get(name)
    if difference is not None and difference.callbacks is not None:
        return difference.callbacks
    callbacks: Callbacks = RECORDS[name]["callbacks"]
    return [[*call[:2], TEXTS.get(call[2], call[2])] if call[0] == "on_disconnect" else call for call in callbacks]


@pytest.mark.parametrize("name", list(CLIENT))
def test_scenario(runs: Runs, name: str) -> None:
    result = runs.result(name)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "panicked" not in result.stderr, result.stderr[-2000:]
    callbacks = told(result.stdout)
    wanted, _ = comparable(expected(name))
    _, wanted_labels = comparable(RECORDS[name]["callbacks"])
    got, labels = comparable(callbacks)
    if CLIENT[name].hurried:
        got, wanted = got[-1:], wanted[-1:]
    assert [wording(call) for call in got] == [wording(call) for call in wanted], result.stdout
    assert labels == wanted_labels, result.stdout
    ends = [call for call in callbacks if call[0] == "on_disconnect"]
    assert len(ends) <= 1 and callbacks[-1:] == ends or not ends, result.stdout


def wording(call: list[Any]) -> list[Any]:
    """Errors that come from a library begin with the words of the reference and go on with its own."""
    if call[0] != "on_disconnect":
        return call
    for opening in ("CERTIFICATE_VERIFY_FAILED", "stream truncated", "line 2: cannot read"):
        if opening in call[2]:
            return [*call[:2], call[2].split(opening)[0] + opening]
    return [*call[:2], without_ports(call[2])]


def without_ports(text: str) -> str:
    """URLs have ports that the system picks."""
    return re.sub(r"wss?://\S*?127\.0\.0\.1:\d+(/\S*)?", "URL", text)


def test_differences_are_documented() -> None:
    """docs/PYTHON_API.md has a row for each difference, and no other."""
    text = (Path(HERE).parent / "docs/PYTHON_API.md").read_text()
    section = text.split("## Differences in connection behaviour")[1].split("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("| `")]
    documented = {row[0].strip().strip("`"): [cell.strip() for cell in row[1:]] for row in rows}
    assert documented == {name: [d.reference, d.ours, d.reason] for name, d in DIFFERENCES.items()}
