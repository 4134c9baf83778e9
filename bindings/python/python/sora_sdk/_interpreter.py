"""The package has native threads that call into the main interpreter, so it does not work in any other."""

from __future__ import annotations

import importlib
from typing import Any


def _interpreters() -> Any:
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_module = _interpreters()
if _module is not None and _module.get_current() != _module.get_main():
    raise ImportError("sora_sdk cannot be used in a sub-interpreter; import it in the main interpreter")
