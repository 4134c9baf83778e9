"""A program as users write it who check their types strictly. Checked by interop/test_types.py, never run."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

import sora_sdk
from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioFrameTransformer,
    SoraAudioSink,
    SoraAudioSource,
    SoraAudioStreamSink,
    SoraConnection,
    SoraConnectionError,
    SoraDegradationPreference,
    SoraLoggingSeverity,
    SoraMediaTrack,
    SoraSignalingDirection,
    SoraSignalingErrorCode,
    SoraSignalingType,
    SoraTrackInterface,
    SoraTrackState,
    SoraTransformableAudioFrame,
    SoraTransformableVideoFrame,
    SoraVAD,
    SoraVideoCodecImplementation,
    SoraVideoCodecPreference,
    SoraVideoCodecType,
    SoraVideoFrame,
    SoraVideoFrameTransformer,
    SoraVideoSink,
    SoraVideoSource,
    aio,
    create_video_codec_preference_from_implementation,
    enable_libwebrtc_log,
    get_video_codec_capability,
    rtc_log,
)
from sora_sdk.devserver import DevServer

Picture = npt.NDArray[np.uint8]


@dataclass
class Bot:
    """Everything the documented API has, with callbacks as methods."""

    sora: Sora
    video: SoraVideoSource
    audio: SoraAudioSource
    connection: SoraConnection
    sinks: list[SoraVideoSink | SoraAudioStreamSink | SoraAudioSink] = field(
        default_factory=list[SoraVideoSink | SoraAudioStreamSink | SoraAudioSink]
    )
    vad: SoraVAD = field(default_factory=SoraVAD)
    transformer: SoraVideoFrameTransformer = field(default_factory=SoraVideoFrameTransformer)

    def listen(self) -> None:
        self.connection.on_set_offer = self.on_text
        self.connection.on_notify = self.on_text
        self.connection.on_push = self.on_text
        self.connection.on_switched = self.on_text
        self.connection.on_data_channel = self.on_text
        self.connection.on_message = self.on_message
        self.connection.on_rpc = self.on_rpc
        self.connection.on_track = self.on_track
        self.connection.on_disconnect = self.on_disconnect
        self.connection.on_ws_close = self.on_ws_close
        self.connection.on_signaling_message = self.on_signaling_message
        self.transformer.on_transform = self.on_encoded_picture

    def on_text(self, text: str) -> None:
        print(json.loads(text))

    def on_message(self, label: str, data: bytes) -> None:
        sent: bool = self.connection.send_data_channel(label, data[::-1])
        assert sent

    def on_rpc(self, data: bytes) -> None:
        print(len(data))

    def on_disconnect(self, code: SoraSignalingErrorCode, text: str) -> None:
        if code is not SoraSignalingErrorCode.CLOSE_SUCCEEDED:
            rtc_log(SoraLoggingSeverity.ERROR, f"{code.name}: {text}")

    def on_ws_close(self, code: int, reason: str) -> None:
        print(code + 1, reason.upper())

    def on_signaling_message(self, kind: SoraSignalingType, direction: SoraSignalingDirection, text: str) -> None:
        print(kind.name, direction.value, text.upper())

    def on_track(self, track: SoraMediaTrack) -> None:
        name: str = track.stream_id + track.id
        if track.kind == "video":
            track.set_frame_transformer(self.transformer)
            video = SoraVideoSink(track)
            video.on_frame = self.on_picture
            self.sinks.append(video)
        else:
            stream = SoraAudioStreamSink(track, output_frequency=24_000, output_channels=1)
            stream.on_frame = self.on_sound
            buffered = SoraAudioSink(track, 16_000, 1)
            buffered.on_data = self.on_samples
            buffered.on_format = lambda rate, channels: print(rate * channels)
            self.sinks += [stream, buffered]
        print(name, track.enabled, track.state is SoraTrackState.LIVE, track.set_enabled(False))

    def on_picture(self, frame: SoraVideoFrame) -> None:
        picture: Picture = frame.data()
        self.video.on_captured(picture)
        self.video.on_captured(picture, 1.5)
        self.video.on_captured(picture, timestamp_us=1_500_000)

    def on_sound(self, frame: SoraAudioFrame) -> None:
        samples: npt.NDArray[np.int16] = frame.data()
        probability: float = self.vad.analyze(frame)
        seconds: float = frame.samples_per_channel / frame.sample_rate_hz
        captured: int | None = frame.absolute_capture_timestamp_ms
        print(probability, seconds, captured, frame.num_channels)
        self.audio.on_data(samples)
        self.audio.on_data(samples, 1.5)
        self.audio.on_data(samples.ctypes.data, samples.shape[0])

    def on_samples(self, samples: npt.NDArray[np.int16]) -> None:
        print(samples.mean())

    def on_encoded_picture(self, frame: SoraTransformableVideoFrame) -> None:
        data: npt.NDArray[np.uint8] = frame.get_data()
        if frame.is_key_frame and frame.width > 0 and frame.frame_id is not None:
            frame.set_data(data)
        frame.rtp_timestamp += 1
        self.transformer.enqueue(frame)


def read(sink: SoraAudioSink) -> npt.NDArray[np.int16]:
    _, samples = sink.read(480, timeout=0.5)
    return np.zeros((0, 1), np.int16) if samples is None else samples


def encoded_sound(frame: SoraTransformableAudioFrame) -> None:
    number: int | None = frame.sequence_number
    print(number, frame.type.name, frame.contributing_sources.tolist(), frame.receive_time)


def bot(url: str) -> Bot:
    enable_libwebrtc_log(SoraLoggingSeverity.WARNING)
    capability = get_video_codec_capability()
    engines = [engine.name for engine in capability.engines if any(codec.encoder for codec in engine.codecs)]
    preference: SoraVideoCodecPreference = create_video_codec_preference_from_implementation(
        capability, SoraVideoCodecImplementation.INTERNAL
    )
    preference.merge(SoraVideoCodecPreference([SoraVideoCodecPreference.Codec(SoraVideoCodecType.VP8)]))
    sora = Sora(openh264=None, video_codec_preference=preference)
    print(engines, preference.has_implementation(SoraVideoCodecImplementation.INTERNAL), sora_sdk.__version__)
    video, audio = sora.create_video_source(), sora.create_audio_source(channels=1, sample_rate=48_000)
    tracks: list[SoraTrackInterface] = [video, audio]
    sound = SoraAudioFrameTransformer()
    sound.on_transform = encoded_sound
    connection = sora.create_connection(
        signaling_urls=[url],
        role="sendrecv",
        channel_id="typed",
        metadata={"access_token": "token", "nested": [1, 2.5, None, True]},
        audio_source=tracks[1],
        video_source=tracks[0],
        audio_frame_transformer=sound,
        video_codec_type="VP9",
        data_channels=[{"label": "#typed", "direction": "sendrecv"}],
        degradation_preference=SoraDegradationPreference.MAINTAIN_FRAMERATE,
    )
    return Bot(sora, video, audio, connection)


async def main() -> None:
    with DevServer() as server:
        camera, microphone = aio.VideoSource(frame_rate=30), aio.AudioSource(channels=1)
        try:
            async with aio.Connection(
                server.signaling_url, "typed", "sendrecv", video_source=camera, audio_source=microphone, client_id="me"
            ) as connection:
                await camera.send(np.zeros((480, 640, 3), np.uint8))
                await microphone.send(np.zeros((960, 1), np.int16))
                async for track in connection.tracks():
                    async for frame in track.video():
                        print(frame.data().shape)
                        break
                async for message in connection.messages():
                    await connection.send(message.label, message.data)
                ended = await connection.ended()
                print(ended.code.name, ended.reason)
        except SoraConnectionError as error:
            print(error.code, error.reason)


if __name__ == "__main__":
    asyncio.run(main())
