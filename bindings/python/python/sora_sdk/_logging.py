"""The logger of the package: quiet until somebody wants to hear it."""

from __future__ import annotations

import logging

from ._enums import SoraLoggingSeverity

LOGGER = logging.getLogger("sora_sdk")
# Without it, Python writes warnings of a program that has not set up logging to stderr.
LOGGER.addHandler(logging.NullHandler())


#: What the severities are in `logging`.
LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)


def rtc_log(severity: SoraLoggingSeverity | int, message: str, /) -> None:
    """Writes a record of the program's own among those of the package: to the logger "sora_sdk", with the caller's place.

    severity: VERBOSE (0) to ERROR (3); nothing is written with NONE (4). Raises TypeError for anything else.
    """
    if not isinstance(severity, int) or not isinstance(message, str) or not 0 <= severity <= len(LEVELS):
        raise TypeError(f"rtc_log() expects a SoraLoggingSeverity (0 to 4) and a str, not {severity!r} and {message!r}")
    if severity < len(LEVELS):
        LOGGER.log(LEVELS[severity], "%s", message, stacklevel=2)


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
