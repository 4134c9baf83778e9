"""Fixtures of the interoperability tests: the development server, interpreters, and children that always end.

SORA_DEVSERVER is the server's binary, SORA_REFERENCE_PYTHON an interpreter with the reference package, SORA_NPM_DIR a
folder with node_modules of sora-js-sdk, playwright-core and pyright. Tests are skipped, with the reason, where what they
need is absent. Every port is chosen by the system.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from child import Child

# Whoever started the tests may ignore it, and what is ignored is ignored by children; what is caught is not.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _required(name: str) -> Path:
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set")
    path = Path(value)
    if not path.exists():
        pytest.skip(f"{name}: {path} does not exist")
    return path


def start_devserver(children: list[Child], *options: str, host: str = "127.0.0.1") -> str:
    """Starts a development server of a test's own, ended with `children`; returns its signaling URL."""
    binary = _required("SORA_DEVSERVER")
    server = Child([str(binary), "--listen", f"{host}:0", "--api-listen", "127.0.0.1:0", *options])
    children.append(server)
    ready = json.loads(server.line(lambda line: line.startswith("{"), 15))
    return str(ready["signaling_url"])


@pytest.fixture(scope="session")
def devserver() -> Iterator[str]:
    """The signaling URL of a development server that runs for the whole session."""
    started: list[Child] = []
    try:
        yield start_devserver(started)
    finally:
        for server in started:
            server.end()


@pytest.fixture(scope="session")
def our_python() -> str:
    """The interpreter with our package: the one that runs the tests."""
    pytest.importorskip("sora_sdk", reason="our sora_sdk package is not installed beside the tests")
    return sys.executable


@pytest.fixture(scope="session")
def reference_python() -> str:
    """The interpreter with the reference package."""
    return str(_required("SORA_REFERENCE_PYTHON"))


@pytest.fixture(scope="session")
def openh264() -> str:
    """The OpenH264 library for H.264, in SORA_OPENH264."""
    return str(_required("SORA_OPENH264"))


@pytest.fixture(scope="session")
def npm_dir() -> Path:
    """The folder with node_modules; checked together with node itself."""
    folder = _required("SORA_NPM_DIR")
    for module in ("sora-js-sdk", "playwright-core", "pyright"):
        if not (folder / "node_modules" / module).is_dir():
            pytest.skip(f"SORA_NPM_DIR has no node_modules/{module}")
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the Chromium binary."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("Chromium is not installed")
    return path


@pytest.fixture
def channel() -> str:
    """A channel that no other test uses."""
    return f"interop-{secrets.token_hex(6)}"


@pytest.fixture
def children() -> Iterator[list[Child]]:
    """Children that a test starts; all of them are ended with it."""
    started: list[Child] = []
    try:
        yield started
    finally:
        for child in started:
            child.end()
