"""The logger of the package: quiet until somebody wants to hear it."""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("sora_sdk")
# Without it, Python writes warnings of a program that has not set up logging to stderr.
LOGGER.addHandler(logging.NullHandler())


def set_level(level: int) -> None:
    """Sets the level; without any handler up to the root, records go to stderr."""
    LOGGER.setLevel(level)
    logger: logging.Logger | None = LOGGER
    while logger is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            return
        logger = logger.parent if logger.propagate else None
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    LOGGER.addHandler(handler)
