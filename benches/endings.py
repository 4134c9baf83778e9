"""How long the interpreter takes to end, from each state a program can be in.

Run by `cargo xtask bench endings`.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from sora_sdk.devserver import DevServer

sys.path.insert(0, str(Path(__file__).parent.parent / "bindings/python/tests"))

from exit_states import STATES, run

RUNS = 5


def main() -> None:
    with DevServer() as server, socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = f"ws://127.0.0.1:{silent.getsockname()[1]}/signaling"
        result = {}
        for number, (state, body) in enumerate(STATES.items()):
            print(state, file=sys.stderr, flush=True)
            ends = [
                run(body + "\nnow()", server.signaling_url, f"endings-{number}", nobody, dev=False) for _ in range(RUNS)
            ]
            times = sorted(round(end.seconds * 1000, 1) for end in ends)
            result[state] = {
                "p50_ms": times[RUNS // 2],
                "max_ms": times[-1],
                "status": {end.status for end in ends}.pop(),
            }
        print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
