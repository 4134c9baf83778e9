"""The interpreter ends, whatever the state: with the program's own status, without a word, soon."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from exit_states import ENDS, STATES, run

#: Far above what it takes; `cargo xtask bench endings` measures that.
LIMIT_S = 2.0


@pytest.fixture(scope="module")
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"ws://127.0.0.1:{server.getsockname()[1]}/signaling"


@pytest.mark.parametrize("state", STATES)
def test_every_state_ends_well(url: str, channel: str, silent: str, state: str) -> None:
    end = run(STATES[state] + "\nnow()", url, channel, silent)
    assert (end.status, end.stderr) == (0, "")
    assert end.seconds < LIMIT_S


@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("connected", [False, True], ids=["idle", "connected"])
def test_every_way_of_ending_keeps_its_status(url: str, channel: str, silent: str, connected: bool, way: str) -> None:
    body, status = ENDS[way]
    end = run(("all = everything()\n" if connected else "sora = Sora()\n") + body, url, channel, silent)
    assert end.status == status, end.stderr
    assert end.seconds < LIMIT_S
    last = end.stderr.strip().splitlines()[-1:]
    assert last in ([], ["RuntimeError: x"], ["KeyboardInterrupt"])
