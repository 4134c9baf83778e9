"""WebRTC client for the SFU Sora: pictures, sound and messages in and out as numpy arrays and bytes."""

from __future__ import annotations

import atexit
import os

from . import _interpreter as _interpreter
from . import _logging as _logging
from . import sora_sdk_ext
from ._codecs import (
    SoraVideoCodecCapability,
    SoraVideoCodecPreference,
    create_video_codec_preference_from_implementation,
    get_video_codec_capability,
)
from ._enums import (
    SoraDegradationPreference,
    SoraLoggingSeverity,
    SoraSignalingDirection,
    SoraSignalingErrorCode,
    SoraSignalingType,
    SoraTrackState,
    SoraTransformableAudioFrameType,
    SoraTransformableFrameDirection,
    SoraVideoCodecImplementation,
    SoraVideoCodecType,
)
from ._errors import (
    SoraClosedError,
    SoraConnectionError,
    SoraError,
    SoraHandshakeError,
    SoraSendError,
    SoraTimeoutError,
)
from ._logging import rtc_log
from .sora_sdk_ext import (
    Sora,
    SoraAudioFrame,
    SoraAudioFrameTransformer,
    SoraAudioSink,
    SoraAudioSource,
    SoraAudioStreamSink,
    SoraConnection,
    SoraFrameTransformer,
    SoraMediaTrack,
    SoraTrackInterface,
    SoraTransformableAudioFrame,
    SoraTransformableFrame,
    SoraTransformableVideoFrame,
    SoraVAD,
    SoraVideoFrame,
    SoraVideoFrameTransformer,
    SoraVideoSink,
    SoraVideoSource,
    __version__,
    enable_libwebrtc_log,
)

# The names the reference exports for its sinks' native halves.
SoraAudioSinkImpl = SoraAudioSink
SoraAudioStreamSinkImpl = SoraAudioStreamSink
SoraVideoSinkImpl = SoraVideoSink


# Native threads must not call into an interpreter that is going away.
atexit.register(sora_sdk_ext._shut_down)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=sora_sdk_ext._after_fork)

__all__ = [
    "Sora",
    "SoraAudioFrame",
    "SoraAudioFrameTransformer",
    "SoraAudioSink",
    "SoraAudioSinkImpl",
    "SoraAudioSource",
    "SoraAudioStreamSink",
    "SoraAudioStreamSinkImpl",
    "SoraClosedError",
    "SoraConnection",
    "SoraConnectionError",
    "SoraDegradationPreference",
    "SoraError",
    "SoraFrameTransformer",
    "SoraHandshakeError",
    "SoraLoggingSeverity",
    "SoraMediaTrack",
    "SoraSendError",
    "SoraSignalingDirection",
    "SoraSignalingErrorCode",
    "SoraSignalingType",
    "SoraTimeoutError",
    "SoraTrackInterface",
    "SoraTrackState",
    "SoraTransformableAudioFrame",
    "SoraTransformableAudioFrameType",
    "SoraTransformableFrame",
    "SoraTransformableFrameDirection",
    "SoraTransformableVideoFrame",
    "SoraVAD",
    "SoraVideoCodecCapability",
    "SoraVideoCodecImplementation",
    "SoraVideoCodecPreference",
    "SoraVideoCodecType",
    "SoraVideoFrame",
    "SoraVideoFrameTransformer",
    "SoraVideoSink",
    "SoraVideoSinkImpl",
    "SoraVideoSource",
    "__version__",
    "create_video_codec_preference_from_implementation",
    "enable_libwebrtc_log",
    "get_video_codec_capability",
    "rtc_log",
    "sora_sdk_ext",
]
