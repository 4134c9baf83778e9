"""The keywords of `Sora.create_connection` that a connection may have."""

from __future__ import annotations

import os
from typing import Any, TypedDict

from ._enums import SoraDegradationPreference
from .sora_sdk_ext import SoraAudioFrameTransformer, SoraVideoFrameTransformer


class ConnectionOptions(TypedDict, total=False):
    """The optional arguments of `Sora.create_connection` but for the sources."""

    client_id: str | None
    bundle_id: str | None
    metadata: Any
    signaling_notify_metadata: Any
    audio_frame_transformer: SoraAudioFrameTransformer | None
    video_frame_transformer: SoraVideoFrameTransformer | None
    audio: bool | None
    video: bool | None
    audio_codec_type: str | None
    video_codec_type: str | None
    video_bit_rate: int | None
    audio_bit_rate: int | None
    video_vp9_params: Any
    video_av1_params: Any
    video_h264_params: Any
    audio_opus_params: Any
    simulcast: bool | None
    spotlight: bool | None
    spotlight_number: int | None
    simulcast_rid: str | None
    simulcast_request_rid: str | None
    spotlight_focus_rid: str | None
    spotlight_unfocus_rid: str | None
    forwarding_filter: dict[str, Any] | None
    forwarding_filters: Any
    data_channels: list[dict[str, Any]] | None
    data_channel_signaling: bool | None
    ignore_disconnect_websocket: bool | None
    data_channel_signaling_timeout: int | None
    disconnect_wait_timeout: int | None
    websocket_close_timeout: int | None
    websocket_connection_timeout: int | None
    audio_streaming_language_code: str | None
    insecure: bool | None
    client_cert: str | os.PathLike[str] | bytes | None
    client_key: str | os.PathLike[str] | bytes | None
    ca_cert: str | os.PathLike[str] | bytes | None
    proxy_url: str | None
    proxy_username: str | None
    proxy_password: str | None
    proxy_agent: str | None
    degradation_preference: SoraDegradationPreference | int | None
    user_agent: str | None
