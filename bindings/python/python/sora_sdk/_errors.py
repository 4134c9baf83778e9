"""What goes wrong, as exceptions."""

from __future__ import annotations

from ._enums import SoraSignalingErrorCode

__all__ = [
    "SoraClosedError",
    "SoraConnectionError",
    "SoraError",
    "SoraHandshakeError",
    "SoraSendError",
    "SoraTimeoutError",
]


class SoraError(Exception):
    """The base of the exceptions of this package."""


class SoraConnectionError(SoraError, ConnectionError):
    """The connection could not be made, or broke.

    code is the reason as on_disconnect gives it, reason its text.
    """

    def __init__(self, code: SoraSignalingErrorCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code.name}: {self.reason}"


class SoraHandshakeError(SoraConnectionError):
    """The server could not be reached, or it refused: wrong URL, certificate, proxy, access token or parameters."""


class SoraClosedError(SoraError):
    """The connection is not open: not yet, or no longer."""


class SoraSendError(SoraError):
    """A message could not be sent: its data channel is not open, or too much is waiting in it."""


class SoraTimeoutError(SoraError, TimeoutError):
    """Something that was waited for did not come about in time."""
