"""For tests of programs that use sora_sdk: fixtures for pytest that bring a server.

In conftest.py:

    pytest_plugins = ["sora_sdk.testing"]

and in a test:

    def test_bot_answers(sora_server, sora_channel):
        bot = Bot(sora_server.signaling_url, sora_channel)
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from .devserver import DevServer

__all__ = ["DevServer", "sora_channel", "sora_server"]


@pytest.fixture(scope="session")
def sora_server() -> Iterator[DevServer]:
    """A development server for all tests of the run: signaling_url and api_url tell where."""
    with DevServer() as server:
        yield server


@pytest.fixture
def sora_channel(request: pytest.FixtureRequest) -> str:
    """The id of a channel that no other test uses."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", request.node.name)
    return f"{name[:150]}-{os.getpid()}-{os.urandom(4).hex()}"
