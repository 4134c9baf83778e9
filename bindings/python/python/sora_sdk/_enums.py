"""The enums of the package: real IntEnums that print like their names."""

from enum import IntEnum

__all__ = [
    "SoraLoggingSeverity",
    "SoraSignalingDirection",
    "SoraSignalingErrorCode",
    "SoraSignalingType",
    "SoraTrackState",
]


class _Named(IntEnum):
    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class SoraSignalingErrorCode(_Named):
    """How a connection ended."""

    CLOSE_SUCCEEDED = 0
    CLOSE_FAILED = 1
    INTERNAL_ERROR = 2
    INVALID_PARAMETER = 3
    WEBSOCKET_HANDSHAKE_FAILED = 4
    WEBSOCKET_ONCLOSE = 5
    WEBSOCKET_ONERROR = 6
    PEER_CONNECTION_STATE_FAILED = 7
    ICE_FAILED = 8


class SoraTrackState(_Named):
    """Whether a track may ever carry anything again."""

    LIVE = 0
    ENDED = 1


class SoraLoggingSeverity(_Named):
    """Levels of enable_libwebrtc_log()."""

    VERBOSE = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
    NONE = 4


class SoraSignalingType(_Named):
    """What a signaling message travelled on."""

    WEBSOCKET = 0
    DATACHANNEL = 1


class SoraSignalingDirection(_Named):
    """Which way a signaling message went."""

    SENT = 0
    RECEIVED = 1
