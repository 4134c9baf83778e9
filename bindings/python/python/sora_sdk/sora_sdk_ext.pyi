"""Types of the native half of the package."""

import os
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from ._codecs import SoraVideoCodecPreference
from ._enums import (
    SoraDegradationPreference,
    SoraLoggingSeverity,
    SoraSignalingDirection,
    SoraSignalingErrorCode,
    SoraSignalingType,
    SoraTrackState,
    SoraTransformableAudioFrameType,
    SoraTransformableFrameDirection,
)

__version__: str

_Picture: TypeAlias = npt.NDArray[np.uint8]
_Sound: TypeAlias = npt.NDArray[np.int16]

def enable_libwebrtc_log(severity: SoraLoggingSeverity | int) -> None:
    """Writes log lines of the given severity and above to stderr."""

def _parameters() -> list[tuple[str, str, str]]: ...
def _after_fork() -> None: ...
def _video_frame(picture: _Picture) -> SoraVideoFrame: ...
def _devserver(arguments: list[str]) -> int: ...
def _shut_down() -> None: ...
def _video_codec_capability(
    openh264: str | None,
) -> list[tuple[str, list[tuple[str, bool, bool, str | None, str | None]]]]: ...

class SoraTrackInterface:
    """A track: sound or pictures from one source."""

    @property
    def kind(self) -> Literal["audio", "video"]: ...
    @property
    def id(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def state(self) -> SoraTrackState: ...
    def set_enabled(self, enable: bool) -> bool:
        """Mutes or unmutes the track. Returns True if that changed anything."""

class SoraMediaTrack(SoraTrackInterface):
    """A track received from the server."""

    @property
    def stream_id(self) -> str: ...
    def set_frame_transformer(
        self, transformer: SoraAudioFrameTransformer | SoraVideoFrameTransformer | None
    ) -> None: ...

class SoraAudioSource(SoraTrackInterface):
    """Sound from the program."""

    @overload
    def on_data(self, ndarray: _Sound) -> None: ...
    @overload
    def on_data(self, ndarray: _Sound, timestamp: float | None) -> None: ...
    @overload
    def on_data(self, data: int, samples_per_channel: int) -> None: ...
    @overload
    def on_data(self, data: int, samples_per_channel: int, timestamp: float | None) -> None: ...

class SoraVideoSource(SoraTrackInterface):
    """Pictures from the program."""

    @overload
    def on_captured(self, ndarray: _Picture, timestamp: float | None = None) -> None: ...
    @overload
    def on_captured(self, ndarray: _Picture, *, timestamp_us: int | None) -> None: ...

class SoraAudioFrame:
    """10 ms of received sound. Can be pickled."""

    def data(self) -> _Sound:
        """The samples as an array of shape (samples per channel, channels) that owns its memory."""

    @property
    def samples_per_channel(self) -> int: ...
    @property
    def num_channels(self) -> int: ...
    @property
    def sample_rate_hz(self) -> int: ...
    @property
    def absolute_capture_timestamp_ms(self) -> int | None: ...
    def __getstate__(self) -> tuple[list[int], int, int, int, int | None]: ...
    def __setstate__(self, state: tuple[list[int], int, int, int, int | None]) -> None: ...

class SoraVAD:
    """Tells how likely sound is to be voice, 10 ms at a time. One detector listens to one track.

    model: "rnn" (the reference's probabilities, exactly; 0.95 is libwebrtc's threshold), "earshot" (a newer model that
    takes less noise and music for voice; use a threshold from 0.5 to 0.7) or "gate" (cheap, 1.0 or 0.0, lets much
    music and hum pass). Area under the curve on the same 46 minutes: rnn 0.889, earshot 0.973, gate 0.781.
    """

    def __init__(self, *, model: Literal["rnn", "earshot", "gate"] = "rnn") -> None: ...
    def analyze(self, frame: SoraAudioFrame) -> float:
        """The probability, from 0 to 1, that the frame is voice. Frames are expected one after the other.

        Rates from 4 to 384 kHz and up to 256 channels are taken. Raises ValueError if the frame is shorter than 10 ms
        or its format is none.
        """

class SoraVideoFrame:
    """A received picture. Can be pickled."""

    def data(self) -> _Picture:
        """The picture as a BGR array of shape (height, width, 3) that owns its memory."""

    def __reduce__(self) -> tuple[Callable[[_Picture], SoraVideoFrame], tuple[_Picture]]: ...

class SoraVideoSink:
    """Calls back with a track's pictures on a thread of its own."""

    def __init__(self, track: SoraTrackInterface) -> None: ...
    @property
    def on_frame(self) -> Callable[[SoraVideoFrame], object] | None: ...
    @on_frame.setter
    def on_frame(self, value: Callable[[SoraVideoFrame], object] | None) -> None: ...

class SoraAudioStreamSink:
    """Calls back with every 10 ms of a track's sound on a thread of its own."""

    def __init__(self, track: SoraTrackInterface, output_frequency: int = -1, output_channels: int = 0) -> None: ...
    @property
    def on_frame(self) -> Callable[[SoraAudioFrame], object] | None: ...
    @on_frame.setter
    def on_frame(self, value: Callable[[SoraAudioFrame], object] | None) -> None: ...

class SoraAudioSink:
    """Buffers a track's sound until it is read."""

    def __init__(self, track: SoraTrackInterface, output_frequency: int = -1, output_channels: int = 0) -> None: ...
    def read(self, frames: int = 0, timeout: float = 1.0) -> tuple[Literal[True], _Sound] | tuple[Literal[False], None]:
        """Reads exactly `frames` samples per channel, or with 0 whatever there is at once."""

    @property
    def on_data(self) -> Callable[[_Sound], object] | None: ...
    @on_data.setter
    def on_data(self, value: Callable[[_Sound], object] | None) -> None: ...
    @property
    def on_format(self) -> Callable[[int, int], object] | None: ...
    @on_format.setter
    def on_format(self, value: Callable[[int, int], object] | None) -> None: ...

class SoraTransformableFrame:
    def get_data(self) -> npt.NDArray[np.uint8]: ...
    def set_data(self, data: npt.NDArray[np.uint8] | bytes) -> None: ...
    @property
    def payload_type(self) -> int: ...
    @property
    def ssrc(self) -> int: ...
    @property
    def rtp_timestamp(self) -> int: ...
    @rtp_timestamp.setter
    def rtp_timestamp(self, value: int) -> None: ...
    @property
    def direction(self) -> SoraTransformableFrameDirection: ...
    @property
    def mine_type(self) -> str: ...
    @property
    def mime_type(self) -> str: ...

class SoraTransformableAudioFrame(SoraTransformableFrame):
    @property
    def contributing_sources(self) -> npt.NDArray[np.uint32]: ...
    @property
    def sequence_number(self) -> int | None: ...
    @property
    def absolute_capture_timestamp(self) -> int | None: ...
    @property
    def type(self) -> SoraTransformableAudioFrameType: ...
    @property
    def audio_level(self) -> int | None: ...
    @property
    def receive_time(self) -> int | None: ...

class SoraTransformableVideoFrame(SoraTransformableFrame):
    @property
    def is_key_frame(self) -> bool: ...
    @property
    def frame_id(self) -> int | None: ...
    @property
    def frame_dependencies(self) -> npt.NDArray[np.int64]: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def spatial_index(self) -> int: ...
    @property
    def temporal_index(self) -> int: ...
    @property
    def contributing_sources(self) -> npt.NDArray[np.uint32]: ...

class SoraFrameTransformer:
    def enqueue(self, frame: SoraTransformableFrame) -> None: ...
    def start_short_circuiting(self) -> None: ...

class SoraAudioFrameTransformer(SoraFrameTransformer):
    def __init__(self) -> None: ...
    @property
    def on_transform(self) -> Callable[[SoraTransformableAudioFrame], object] | None: ...
    @on_transform.setter
    def on_transform(self, value: Callable[[SoraTransformableAudioFrame], object] | None) -> None: ...

class SoraVideoFrameTransformer(SoraFrameTransformer):
    def __init__(self) -> None: ...
    @property
    def on_transform(self) -> Callable[[SoraTransformableVideoFrame], object] | None: ...
    @on_transform.setter
    def on_transform(self, value: Callable[[SoraTransformableVideoFrame], object] | None) -> None: ...

class SoraConnection:
    """A connection to a channel. All callbacks come in order on one thread of its own."""

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def get_stats(self) -> str: ...
    def send_data_channel(self, label: str, data: bytes) -> bool: ...
    @property
    def on_set_offer(self) -> Callable[[str], object] | None: ...
    @on_set_offer.setter
    def on_set_offer(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_disconnect(self) -> Callable[[SoraSignalingErrorCode, str], object] | None: ...
    @on_disconnect.setter
    def on_disconnect(self, value: Callable[[SoraSignalingErrorCode, str], object] | None) -> None: ...
    @property
    def on_notify(self) -> Callable[[str], object] | None: ...
    @on_notify.setter
    def on_notify(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_push(self) -> Callable[[str], object] | None: ...
    @on_push.setter
    def on_push(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_message(self) -> Callable[[str, bytes], object] | None: ...
    @on_message.setter
    def on_message(self, value: Callable[[str, bytes], object] | None) -> None: ...
    @property
    def on_rpc(self) -> Callable[[bytes], object] | None: ...
    @on_rpc.setter
    def on_rpc(self, value: Callable[[bytes], object] | None) -> None: ...
    @property
    def on_switched(self) -> Callable[[str], object] | None: ...
    @on_switched.setter
    def on_switched(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_track(self) -> Callable[[SoraMediaTrack], object] | None: ...
    @on_track.setter
    def on_track(self, value: Callable[[SoraMediaTrack], object] | None) -> None: ...
    @property
    def on_data_channel(self) -> Callable[[str], object] | None: ...
    @on_data_channel.setter
    def on_data_channel(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_ws_close(self) -> Callable[[int, str], object] | None: ...
    @on_ws_close.setter
    def on_ws_close(self, value: Callable[[int, str], object] | None) -> None: ...
    @property
    def on_signaling_message(
        self,
    ) -> Callable[[SoraSignalingType, SoraSignalingDirection, str], object] | None: ...
    @on_signaling_message.setter
    def on_signaling_message(
        self, value: Callable[[SoraSignalingType, SoraSignalingDirection, str], object] | None
    ) -> None: ...

class Sora:
    """Makes sources and connections."""

    @overload
    def __init__(
        self,
        use_hardware_encoder: bool | None = None,
        openh264: str | None = None,
        video_codec_preference: SoraVideoCodecPreference | None = None,
        force_i420_conversion: bool | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        openh264: str | None,
        video_codec_preference: SoraVideoCodecPreference | None = None,
        force_i420_conversion: bool | None = None,
    ) -> None: ...
    def create_audio_source(self, channels: int, sample_rate: int) -> SoraAudioSource: ...
    def create_video_source(self) -> SoraVideoSource: ...
    def create_connection(
        self,
        signaling_urls: list[str] | tuple[str, ...],
        role: str,
        channel_id: str,
        client_id: str | None = None,
        bundle_id: str | None = None,
        metadata: Any = None,
        signaling_notify_metadata: Any = None,
        audio_source: SoraTrackInterface | None = None,
        video_source: SoraTrackInterface | None = None,
        audio_frame_transformer: SoraAudioFrameTransformer | None = None,
        video_frame_transformer: SoraVideoFrameTransformer | None = None,
        audio: bool | None = None,
        video: bool | None = None,
        audio_codec_type: str | None = None,
        video_codec_type: str | None = None,
        video_bit_rate: int | None = None,
        audio_bit_rate: int | None = None,
        video_vp9_params: Any = None,
        video_av1_params: Any = None,
        video_h264_params: Any = None,
        audio_opus_params: Any = None,
        simulcast: bool | None = None,
        spotlight: bool | None = None,
        spotlight_number: int | None = None,
        simulcast_rid: str | None = None,
        simulcast_request_rid: str | None = None,
        spotlight_focus_rid: str | None = None,
        spotlight_unfocus_rid: str | None = None,
        forwarding_filter: dict[str, Any] | None = None,
        forwarding_filters: Any = None,
        data_channels: list[dict[str, Any]] | None = None,
        data_channel_signaling: bool | None = None,
        ignore_disconnect_websocket: bool | None = None,
        data_channel_signaling_timeout: int | None = None,
        disconnect_wait_timeout: int | None = None,
        websocket_close_timeout: int | None = None,
        websocket_connection_timeout: int | None = None,
        audio_streaming_language_code: str | None = None,
        insecure: bool | None = None,
        client_cert: str | os.PathLike[str] | bytes | None = None,
        client_key: str | os.PathLike[str] | bytes | None = None,
        ca_cert: str | os.PathLike[str] | bytes | None = None,
        proxy_url: str | None = None,
        proxy_username: str | None = None,
        proxy_password: str | None = None,
        proxy_agent: str | None = None,
        degradation_preference: SoraDegradationPreference | int | None = None,
        user_agent: str | None = None,
    ) -> SoraConnection:
        """Makes a connection; it connects when its connect() is called."""
