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
    """Sets the level of the logger "sora_sdk", to which everything below Python logs, and lets it write to stderr if
    nobody has given it or the root logger a handler.

    severity: a SoraLoggingSeverity or its number, 0 (VERBOSE) to 4 (NONE). Calling it again changes the level.
    """

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
    def kind(self) -> Literal["audio", "video"]:
        """What it carries: "audio" or "video"."""
    @property
    def id(self) -> str:
        """The track's id."""
    @property
    def enabled(self) -> bool:
        """False while muted."""
    @property
    def state(self) -> SoraTrackState:
        """SoraTrackState.LIVE or SoraTrackState.ENDED."""
    def set_enabled(self, enable: bool) -> bool:
        """Mutes (False) or unmutes (True): a muted track carries silence or black pictures.

        Returns True if that changed anything.
        """

class SoraMediaTrack(SoraTrackInterface):
    """A track received from the server."""

    @property
    def stream_id(self) -> str:
        """The stream the track belongs to: the sender's connection id."""
    def set_frame_transformer(self, transformer: SoraAudioFrameTransformer | SoraVideoFrameTransformer | None) -> None:
        """Lets a transformer see the encoded frames of the track before they are decoded, from the next one on; None ends
        that. A SoraAudioFrameTransformer for sound, a SoraVideoFrameTransformer for pictures.
        """

class SoraAudioSource(SoraTrackInterface):
    """Sound from the program. Made by Sora.create_audio_source()."""

    @overload
    def on_data(self, ndarray: _Sound) -> None:
        """on_data(ndarray)
        on_data(ndarray, timestamp)
        on_data(data, samples_per_channel)
        on_data(data, samples_per_channel, timestamp)

        Takes sound of any length; it is sent in packets as soon as it fills them. Nothing is lost whatever the chunks.

        ndarray: an int16 array of shape (samples per channel, channels), C-contiguous to be read without a copy.

        data, samples_per_channel: the address of 16-bit samples, channels interleaved, as an int (array.ctypes.data,
        ctypes.addressof), and how many there are for each channel. The samples are copied during the call. Zero,
        negative or odd addresses and negative counts raise ValueError. That there are
        samples_per_channel * channels initialised samples at the address and that nobody changes or frees them during
        the call is for the caller to guarantee: anything else may end the process.

        timestamp (deprecated): when the first sample was captured, in seconds since the epoch as of time.time().
        Without it the sound continues what was given before. A timestamp more than 100 ms after the end of the sound
        before is a pause and heard as one; any other difference only moves absolute_capture_timestamp_ms.

        Raises ValueError if the channel count is not the source's and TypeError for anything else than these forms.
        May be called from any thread; releases the GIL and does not block.
        """
    @overload
    def on_data(self, ndarray: _Sound, timestamp: float | None) -> None: ...
    @overload
    def on_data(self, data: int, samples_per_channel: int) -> None: ...
    @overload
    def on_data(self, data: int, samples_per_channel: int, timestamp: float | None) -> None: ...

class SoraVideoSource(SoraTrackInterface):
    """Pictures from the program. Made by Sora.create_video_source()."""

    @overload
    def on_captured(self, ndarray: _Picture, timestamp: float | None = None) -> None:
        """Takes a picture: a uint8 array of shape (height, width, 3) in BGR order.

        Without a timestamp the picture counts as captured now. Deprecated: timestamp in seconds since the epoch as of
        time.time(), or timestamp_us in microseconds. By position a float is seconds and an int microseconds, as the
        documented forms have it; by name both are taken as numbers.

        May be called from any thread and does not block: the picture is converted in the calling thread with the GIL
        released, and the array may be changed when the call has returned. Raises TypeError for anything that is no such array and
        ValueError for pictures beyond 16383 pixels on a side.
        """
    @overload
    def on_captured(self, ndarray: _Picture, *, timestamp_us: int | None) -> None: ...

class SoraAudioFrame:
    """10 ms of received sound. Can be pickled."""

    def data(self) -> _Sound:
        """The samples as a writable int16 array of shape (samples per channel, channels).

        The array owns its memory: it stays valid when the frame is gone. Every call returns the same array.
        """

    @property
    def samples_per_channel(self) -> int:
        """Samples per channel."""
    @property
    def num_channels(self) -> int:
        """Channels: 1 mono, 2 stereo."""
    @property
    def sample_rate_hz(self) -> int:
        """Samples per second."""
    @property
    def absolute_capture_timestamp_ms(self) -> int | None:
        """Wall-clock capture time in milliseconds, or None."""
    def __getstate__(self) -> tuple[list[int], int, int, int, int | None]: ...
    def __setstate__(self, state: tuple[list[int], int, int, int, int | None]) -> None: ...

class SoraVAD:
    """Tells how likely sound is to be voice, 10 ms at a time. One detector listens to one track.

    model: "rnn" (the reference's probabilities, exactly; 0.95 is libwebrtc's threshold), "earshot" (a newer model that
    takes less noise and music for voice; use a threshold from 0.5 to 0.7) or "gate" (cheap, 1.0 or 0.0, lets much music
    and hum pass). Area under the curve on the same 46 minutes of speech and other sounds: rnn 0.889, earshot 0.973,
    gate 0.781. Raises ValueError for another model.
    """

    def __init__(self, *, model: Literal["rnn", "earshot", "gate"] = "rnn") -> None: ...
    def analyze(self, frame: SoraAudioFrame) -> float:
        """The probability, from 0 to 1, that the frame is voice. Frames are expected one after the other.

        Any rate from 4 to 384 kHz and up to 256 channels are taken; 24 kHz and one channel are the quickest. 10 ms of
        the frame are used. Raises ValueError if it is shorter or its format is none. May be called from any thread;
        takes about 10 us, for which giving up the GIL would not pay.
        """

class SoraVideoFrame:
    """A received picture. Can be pickled."""

    def data(self) -> _Picture:
        """The picture as a writable uint8 array of shape (height, width, 3) in BGR order, as cv2.imshow wants it.

        The array owns its memory: it stays valid when the frame is gone. Every call returns the same array.
        """

    def __reduce__(self) -> tuple[Callable[[_Picture], SoraVideoFrame], tuple[_Picture]]: ...

class SoraVideoSink:
    """Calls back with a track's pictures, one after the other, on a thread of its own.

    A callback that is slower than the pictures come loses pictures (the oldest first); it delays nobody else.

    track: the video track to receive. Raises TypeError for an audio track.
    """

    def __init__(self, track: SoraTrackInterface) -> None: ...
    @property
    def on_frame(self) -> Callable[[SoraVideoFrame], object] | None:
        """Called with a SoraVideoFrame for each picture. None stops it."""
    @on_frame.setter
    def on_frame(self, value: Callable[[SoraVideoFrame], object] | None) -> None: ...
    @property
    def dropped(self) -> int:
        """Pictures that on_frame missed because it was slow."""

class SoraAudioStreamSink:
    """Calls back with every 10 ms of a track's sound, on a thread of its own.

    A callback that falls five seconds behind loses the oldest frames; it delays nobody else.

    track: the audio track to receive. output_frequency: samples per second, -1 for as received.
    output_channels: channels, 0 for as received. Raises TypeError for a video track and ValueError for a format
    that cannot be made.
    """

    def __init__(self, track: SoraTrackInterface, output_frequency: int = -1, output_channels: int = 0) -> None: ...
    @property
    def on_frame(self) -> Callable[[SoraAudioFrame], object] | None:
        """Called with a SoraAudioFrame every 10 ms. None stops it."""
    @on_frame.setter
    def on_frame(self, value: Callable[[SoraAudioFrame], object] | None) -> None: ...
    @property
    def dropped(self) -> int:
        """Frames that on_frame missed because it was more than five seconds behind."""

class SoraAudioSink:
    """Buffers a track's sound until it is read: at most five seconds, the oldest goes first.

    track: the audio track to receive. output_frequency: samples per second, -1 for as received.
    output_channels: channels, 0 for as received. Raises TypeError for a video track and ValueError for a format
    that cannot be made.
    """

    def __init__(self, track: SoraTrackInterface, output_frequency: int = -1, output_channels: int = 0) -> None: ...
    def read(self, frames: int = 0, timeout: float = 1.0) -> tuple[Literal[True], _Sound] | tuple[Literal[False], None]:
        """Reads frames samples per channel, waiting up to timeout seconds for them. 0 reads whatever there is, at once.

        Returns (True, int16 array of shape (samples, channels)) or (False, None); what there is stays buffered then.
        The GIL is released while waiting and Ctrl+C ends the wait.
        """

    @property
    def on_data(self) -> Callable[[_Sound], object] | None:
        """Deprecated: called with an int16 array of shape (samples, channels) every 10 ms."""
    @on_data.setter
    def on_data(self, value: Callable[[_Sound], object] | None) -> None: ...
    @property
    def on_format(self) -> Callable[[int, int], object] | None:
        """Deprecated: called with sample rate and channel count when they change."""
    @on_format.setter
    def on_format(self, value: Callable[[int, int], object] | None) -> None: ...
    @property
    def dropped(self) -> int:
        """Samples per channel that were dropped because nobody read them for five seconds."""

class SoraTransformableFrame:
    """An encoded frame on its way, given to on_transform of a transformer. It goes on when it is given to the
    transformer's enqueue(), after which its data cannot be reached any more.
    """

    def get_data(self) -> npt.NDArray[np.uint8]:
        """The encoded frame as a uint8 array of shape (bytes,) that owns its memory and cannot be written to.

        RuntimeError if the frame is on its way already.
        """
    def set_data(self, data: npt.NDArray[np.uint8] | bytes) -> None:
        """Replaces the encoded frame: a uint8 array of shape (bytes,), or bytes. It is copied.

        Receivers, servers and the packetizer read some of it: of H.264 and AV1 the whole structure has to stay, of VP8
        the first byte. RuntimeError if the frame is on its way already.
        """
    @property
    def payload_type(self) -> int:
        """The RTP payload type."""
    @property
    def ssrc(self) -> int:
        """The synchronisation source of the stream (RFC 3550 section 3)."""
    @property
    def rtp_timestamp(self) -> int:
        """The RTP timestamp: 90 kHz for pictures, 48 kHz for sound. Can be set while the frame is here."""
    @rtp_timestamp.setter
    def rtp_timestamp(self, value: int) -> None: ...
    @property
    def direction(self) -> SoraTransformableFrameDirection:
        """SoraTransformableFrameDirection.SENDER for what is to be sent, RECEIVER for what was received."""
    @property
    def mine_type(self) -> str:
        """The media type, for example "video/VP8"; under the name that the reference has for it."""
    @property
    def mime_type(self) -> str:
        """The media type, for example "video/VP8"."""

class SoraTransformableAudioFrame(SoraTransformableFrame):
    """Encoded sound on its way: one packet."""

    @property
    def contributing_sources(self) -> npt.NDArray[np.uint32]:
        """Contributing sources as a uint32 array; empty, as an SFU does not mix."""
    @property
    def sequence_number(self) -> int | None:
        """The sequence number of its packet, of received ones; else None."""
    @property
    def absolute_capture_timestamp(self) -> int | None:
        """Not known: None."""
    @property
    def type(self) -> SoraTransformableAudioFrameType:
        """SoraTransformableAudioFrameType.SPEECH, or CN for what announces silence."""
    @property
    def audio_level(self) -> int | None:
        """Not negotiated: None."""
    @property
    def receive_time(self) -> int | None:
        """When its packet came, of received ones: milliseconds of time.monotonic(). Else None."""

class SoraTransformableVideoFrame(SoraTransformableFrame):
    """An encoded picture on its way."""

    @property
    def is_key_frame(self) -> bool:
        """True if it can be decoded without any earlier one."""
    @property
    def frame_id(self) -> int | None:
        """Its number in its stream, from 1, of pictures that are to be sent; else None."""
    @property
    def frame_dependencies(self) -> npt.NDArray[np.int64]:
        """Numbers of the pictures it refers to, as an int64 array. Empty for key frames, in streams with temporal layers
        and for received pictures.
        """
    @property
    def width(self) -> int:
        """Width in pixels; 0 if it is not known before decoding."""
    @property
    def height(self) -> int:
        """Height in pixels; 0 if it is not known before decoding."""
    @property
    def spatial_index(self) -> int:
        """Its spatial layer."""
    @property
    def temporal_index(self) -> int:
        """Its temporal layer."""
    @property
    def contributing_sources(self) -> npt.NDArray[np.uint32]:
        """Contributing sources as a uint32 array; empty, as an SFU does not mix."""

class SoraFrameTransformer:
    """The base of the transformers of sound and of pictures."""

    def enqueue(self, frame: SoraTransformableFrame) -> None:
        """Lets a frame go on that on_transform was given, changed or not, on any thread.

        Frames are to be given in the order they came: one that never is given, or after a later one, is not sent or not
        decoded, and what depends on it is not either. RuntimeError if it was given before.
        """
    @property
    def dropped(self) -> int:
        """How many frames were dropped because on_transform fell behind."""
    def start_short_circuiting(self) -> None:
        """From now on frames go on unseen, without on_transform."""

class SoraAudioFrameTransformer(SoraFrameTransformer):
    """Sees encoded sound: of a source, as audio_frame_transformer of Sora.create_connection(), or of a received track,
    by its set_frame_transformer(). One transformer may be used for several.

    on_transform runs on a thread of the transformer's own; if it falls behind by 100 frames, the oldest are dropped.
    """

    def __init__(self) -> None: ...
    @property
    def on_transform(self) -> Callable[[SoraTransformableAudioFrame], object] | None:
        """Called with a SoraTransformableAudioFrame for each packet of sound."""
    @on_transform.setter
    def on_transform(self, value: Callable[[SoraTransformableAudioFrame], object] | None) -> None: ...

class SoraVideoFrameTransformer(SoraFrameTransformer):
    """Sees encoded pictures: of a source, as video_frame_transformer of Sora.create_connection(), or of a received track,
    by its set_frame_transformer(). One transformer may be used for several.

    on_transform runs on a thread of the transformer's own; if it falls behind by 100 frames, the oldest are dropped.
    """

    def __init__(self) -> None: ...
    @property
    def on_transform(self) -> Callable[[SoraTransformableVideoFrame], object] | None:
        """Called with a SoraTransformableVideoFrame for each picture, and for each layer of a simulcast one."""
    @on_transform.setter
    def on_transform(self, value: Callable[[SoraTransformableVideoFrame], object] | None) -> None: ...

class SoraConnection:
    """A connection to a channel. Made by Sora.create_connection().

    All callbacks come in order on one thread of the connection's own. They may call any method of the connection,
    raise (the exception goes to sys.unraisablehook and the connection lives on) and drop the last reference to it.
    """

    def connect(self) -> None:
        """Starts connecting and returns at once; what comes of it is told to the callbacks.

        A second call does nothing; after disconnect() it raises RuntimeError.
        """
    def disconnect(self) -> None:
        """Says goodbye and waits until on_disconnect has returned. Called from a callback it does not wait.

        The GIL is released while waiting and Ctrl+C ends the wait.
        """
    def get_stats(self) -> str:
        """Statistics as a JSON array with the members of W3C webrtc-stats; "[]" before and after the connection."""
    def send_data_channel(self, label: str, data: bytes) -> bool:
        """Sends bytes on a data channel whose label begins with "#".

        Returns True if the message was accepted for an open channel, else False.
        """
    @property
    def on_set_offer(self) -> Callable[[str], object] | None:
        """Called with the text of the offer when it has been applied."""
    @on_set_offer.setter
    def on_set_offer(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_disconnect(self) -> Callable[[SoraSignalingErrorCode, str], object] | None:
        """Called with (SoraSignalingErrorCode, text) once, at the end."""
    @on_disconnect.setter
    def on_disconnect(self, value: Callable[[SoraSignalingErrorCode, str], object] | None) -> None: ...
    @property
    def on_notify(self) -> Callable[[str], object] | None:
        """Called with the JSON text of each notification."""
    @on_notify.setter
    def on_notify(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_push(self) -> Callable[[str], object] | None:
        """Called with the JSON text of each push."""
    @on_push.setter
    def on_push(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_message(self) -> Callable[[str, bytes], object] | None:
        """Called with (label, bytes) for each message on a "#" data channel."""
    @on_message.setter
    def on_message(self, value: Callable[[str, bytes], object] | None) -> None: ...
    @property
    def on_rpc(self) -> Callable[[bytes], object] | None:
        """Called with bytes for each message on the rpc data channel."""
    @on_rpc.setter
    def on_rpc(self, value: Callable[[bytes], object] | None) -> None: ...
    @property
    def on_switched(self) -> Callable[[str], object] | None:
        """Called with the JSON text when signaling has moved to data channels."""
    @on_switched.setter
    def on_switched(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_track(self) -> Callable[[SoraMediaTrack], object] | None:
        """Called with a SoraMediaTrack for each track the server sends."""
    @on_track.setter
    def on_track(self, value: Callable[[SoraMediaTrack], object] | None) -> None: ...
    @property
    def on_data_channel(self) -> Callable[[str], object] | None:
        """Called with the label of each data channel of the offer when it is open."""
    @on_data_channel.setter
    def on_data_channel(self, value: Callable[[str], object] | None) -> None: ...
    @property
    def on_ws_close(self) -> Callable[[int, str], object] | None:
        """Called with (code, reason) when the WebSocket is gone; code 0 without a close frame."""
    @on_ws_close.setter
    def on_ws_close(self, value: Callable[[int, str], object] | None) -> None: ...
    @property
    def on_signaling_message(
        self,
    ) -> Callable[[SoraSignalingType, SoraSignalingDirection, str], object] | None:
        """Called with (SoraSignalingType, SoraSignalingDirection, text) for each signaling message."""
    @on_signaling_message.setter
    def on_signaling_message(
        self, value: Callable[[SoraSignalingType, SoraSignalingDirection, str], object] | None
    ) -> None: ...

class Sora:
    """Makes sources and connections.

    use_hardware_encoder: False leaves hardware encoders out. openh264: path of an OpenH264 library for H.264; if it
    cannot be used, a RuntimeWarning says why. video_codec_preference: a SoraVideoCodecPreference; RuntimeError if it
    names what is not there. force_i420_conversion is taken and changes nothing: pictures are always converted. Both
    generations' order of arguments is understood: Sora(True, path) and Sora(path, preference, force_i420_conversion).
    """

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
    def create_audio_source(self, channels: int, sample_rate: int) -> SoraAudioSource:
        """Makes a source for sound.

        channels: 1 to 8. sample_rate: 8000 to 192000 Hz. Raises ValueError for anything else.
        """
    def create_video_source(self) -> SoraVideoSource:
        """Makes a source for pictures."""
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
        """Makes a connection. Nothing is sent before its connect() is called.

        Only the first three arguments have to be given; None is the same as leaving one out. They may be given by
        name, by position in the order below, or by position in the order of sora_sdk 2024.3.0, which did not have
        all of them: a bool in the tenth place tells.

        signaling_urls: Signaling URLs (ws or wss); all are tried at once and the first to answer is used.
        role: sendonly, recvonly or sendrecv.
        channel_id: The channel to join, 1 to 255 bytes.
        client_id: The program's own name for this connection, shown to the others; at most 255 bytes.
        bundle_id: Name shared by the connections of one user, which do not receive each other; at most 255 bytes.
        metadata: Authentication data: any JSON value, for example {"access_token": TOKEN}. Never logged.
        signaling_notify_metadata: Shown to the others in notifications: any JSON value.
        audio_source: Sound to send: a source, or a track that another connection receives.
        video_source: Pictures to send: a source, or a track that another connection receives.
        audio_frame_transformer: Sees the encoded sound before it is sent.
        video_frame_transformer: Sees the encoded pictures before they are sent.
        audio: Whether sound is sent and received; it is unless this is false.
        video: Whether pictures are sent and received; they are unless this is false.
        audio_codec_type: Codec for sound: OPUS; the server's choice if not given.
        video_codec_type: Codec for pictures: VP8, VP9, AV1, H264 or H265; the server's choice if not given, VP9 for
            Sora.
        video_bit_rate: Bit rate of pictures in kbit/s, 1 to 50000; the server's choice if not given.
        audio_bit_rate: Bit rate of sound in kbit/s, 6 to 510; the server's choice if not given.
        video_vp9_params: VP9 settings, for example {"profile_id": 0}.
        video_av1_params: AV1 settings, for example {"profile": 0}.
        video_h264_params: H.264 settings, for example {"profile_level_id": "42e01f"}.
        audio_opus_params: Opus settings, which the server puts into its offer, for example {"stereo": true,
            "usedtx": true}.
        simulcast: Send pictures in several sizes, of which each receiver gets one.
        spotlight: Receive recent speakers only.
        spotlight_number: How many speakers are received, 1 to 8.
        simulcast_rid: Simulcast layer to receive: r0, r1 or r2. Newer servers read simulcast_request_rid.
        simulcast_request_rid: Simulcast layer to receive: none, r0, r1 or r2.
        spotlight_focus_rid: Simulcast layer to receive of speakers: none, r0, r1 or r2.
        spotlight_unfocus_rid: Simulcast layer to receive of the others: none, r0, r1 or r2.
        forwarding_filter: What to receive and what not: rules of field, operator and values. Newer servers read
            forwarding_filters.
        forwarding_filters: What to receive and what not: a list of filters.
        data_channels: Channels for messages of the program: label (begins with #), direction (sendonly, recvonly,
            sendrecv), and as wanted ordered, max_packet_life_time, max_retransmits, protocol, compress, header.
        data_channel_signaling: Move signaling to data channels.
        ignore_disconnect_websocket: Go on without the WebSocket once signaling has moved.
        data_channel_signaling_timeout: Limit for signaling to move to data channels, in seconds; 180 if not given.
        disconnect_wait_timeout: Limit for the server's closing of the data channels, in seconds; 5 if not given.
        websocket_close_timeout: Limit for the server's closing of the WebSocket, in seconds; 3 if not given.
        websocket_connection_timeout: Limit for connecting the WebSocket, in seconds; 30 if not given.
        audio_streaming_language_code: Language that is spoken, for the server's transcription, for example ja-JP.
        insecure: Accept any server certificate. For tests only.
        client_cert: Certificate chain to show to a server that asks for one: a path, or PEM itself.
        client_key: Private key of client_cert: a path, or PEM itself. Never logged.
        ca_cert: Certificates of the authorities to trust instead of the system's: a path, or PEM itself.
        proxy_url: HTTP proxy (http://HOST:PORT) for signaling and for TURN over TCP and TLS.
        proxy_username: User name for the proxy.
        proxy_password: Password for the proxy. Never logged.
        proxy_agent: User-Agent told to the proxy; none if not given.
        degradation_preference: What gives way when there is not enough time or bandwidth for the pictures: their
            size, their number, or both.
        user_agent: User-Agent of the WebSocket upgrade; this library's own if not given.

        Metadata, settings and filters are JSON: dict, list, tuple, str, int, float, bool, None and numpy's scalars,
        without loss of precision. Raises TypeError for what is of the wrong type or no JSON, and says where;
        ValueError for a proxy that is none; RuntimeError for a video codec that cannot be encoded here, and for
        certificates that cannot be read. May be called from any thread.
        """
