"""The enums of the package: real IntEnums that print like their names."""

from enum import IntEnum

__all__ = [
    "SoraDegradationPreference",
    "SoraLoggingSeverity",
    "SoraSignalingDirection",
    "SoraSignalingErrorCode",
    "SoraSignalingType",
    "SoraTrackState",
    "SoraTransformableAudioFrameType",
    "SoraTransformableFrameDirection",
    "SoraVideoCodecImplementation",
    "SoraVideoCodecType",
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


class SoraDegradationPreference(_Named):
    """What gives way when there is not enough time or bandwidth for the pictures that are sent."""

    DISABLED = 0
    BALANCED = 3
    MAINTAIN_FRAMERATE = 1
    MAINTAIN_RESOLUTION = 2


class SoraVideoCodecType(_Named):
    """A video codec."""

    VP8 = 1
    VP9 = 2
    H264 = 4
    H265 = 5
    AV1 = 3


class SoraVideoCodecImplementation(_Named):
    """Who implements a video codec."""

    INTERNAL = 0
    CISCO_OPENH264 = 1
    INTEL_VPL = 2
    NVIDIA_VIDEO_CODEC_SDK = 3
    AMD_AMF = 4


class SoraTransformableFrameDirection(_Named):
    """Which way an encoded frame goes."""

    UNKNOWN = 0
    RECEIVER = 1
    SENDER = 2


class SoraTransformableAudioFrameType(_Named):
    """What encoded sound is: nothing, speech, or comfort noise."""

    EMPTY = 0
    SPEECH = 1
    CN = 2
