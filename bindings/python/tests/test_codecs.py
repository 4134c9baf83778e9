"""The codecs at hand, who is preferred for them, and pictures through each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Client, Feeder, picture, wait_until

from sora_sdk import (
    Sora,
    SoraDegradationPreference,
    SoraVideoCodecCapability,
    SoraVideoCodecImplementation,
    SoraVideoCodecPreference,
    SoraVideoCodecType,
    SoraVideoSink,
    create_video_codec_preference_from_implementation,
    get_video_codec_capability,
)

INTERNAL = SoraVideoCodecImplementation.INTERNAL
OPENH264 = SoraVideoCodecImplementation.CISCO_OPENH264
Codec = SoraVideoCodecPreference.Codec


@pytest.fixture(scope="session")
def library() -> str:
    path = os.environ.get("SORA_OPENH264")
    if path is None:
        pytest.fail("SORA_OPENH264 names no library; run the tests with `cargo xtask test`")
    return path


def test_capability_lists_what_there_is(library: str) -> None:
    capability = get_video_codec_capability()
    assert [engine.name for engine in capability.engines] == [INTERNAL]
    codecs = {codec.type.name: (codec.encoder, codec.decoder) for codec in capability.engines[0].codecs}
    yes, no = (True, True), (False, False)
    assert codecs == {"VP8": yes, "VP9": yes, "H264": no, "H265": no, "AV1": yes}

    both = get_video_codec_capability(library)
    assert [engine.name for engine in both.engines] == [INTERNAL, OPENH264]
    h264 = next(codec for codec in both.engines[1].codecs if codec.type == SoraVideoCodecType.H264)
    assert h264.encoder and h264.decoder
    assert h264.parameters.openh264_path == library
    assert h264.parameters.version is not None and h264.parameters.version.startswith("2.")
    assert h264.parameters.vpl_impl is None and both.engines[1].parameters.version is None
    as_json = json.loads(json.dumps(both.to_json()))
    assert [engine["name"] for engine in as_json["engines"]] == ["internal", "cisco_openh264"]
    assert as_json["engines"][0]["codecs"][0] == {"type": "VP8", "encoder": True, "decoder": True, "parameters": {}}
    assert {"type", "encoder", "decoder", "parameters"} == set(as_json["engines"][1]["codecs"][2])


@pytest.mark.parametrize("path", ["/nonexistent.so", "libc.so.6"])
def test_a_library_that_cannot_be_used_is_a_warning(path: str) -> None:
    with pytest.warns(RuntimeWarning, match="H.264 is not used"):
        capability = get_video_codec_capability(path)
    assert [engine.name for engine in capability.engines] == [INTERNAL]
    with pytest.warns(RuntimeWarning, match=path):
        sora = Sora(openh264=path)
    with pytest.raises(RuntimeError, match="H264 cannot be encoded: .*OpenH264"):
        sora.create_connection(
            ["ws://x"], "sendonly", "c", video_source=sora.create_video_source(), video_codec_type="H264"
        )


def test_preferences_are_lists_that_can_be_changed_and_merged(library: str) -> None:
    capability = get_video_codec_capability(library)
    preference = create_video_codec_preference_from_implementation(capability, INTERNAL)
    assert preference.find(SoraVideoCodecType.VP9) == 1
    assert not preference.has_implementation(OPENH264)
    of_library = create_video_codec_preference_from_implementation(capability, OPENH264)
    preference.merge(of_library)
    assert preference.has_implementation(OPENH264)
    place = preference.find(SoraVideoCodecType.H264)
    assert place is not None
    assert preference.to_json()["codecs"][place] == {
        "type": "H264", "encoder": "cisco_openh264", "decoder": "cisco_openh264", "parameters": {},
    }  # fmt: skip

    own = SoraVideoCodecPreference(codecs=[Codec(SoraVideoCodecType.VP8, INTERNAL)])
    assert own.codecs[0].encoder == INTERNAL and own.codecs[0].decoder is None
    assert own.find(SoraVideoCodecType.AV1) is None
    assert own.get_or_add(SoraVideoCodecType.AV1) == 1 and own.get_or_add(SoraVideoCodecType.AV1) == 1
    own.codecs[1].decoder = INTERNAL
    assert own.to_json()["codecs"][1]["decoder"] == "internal"
    own.merge(SoraVideoCodecPreference([Codec(SoraVideoCodecType.VP8, OPENH264, INTERNAL)]))
    assert (own.codecs[0].encoder, own.codecs[0].decoder) == (OPENH264, INTERNAL)
    own.codecs = []
    assert own.codecs == []
    nobody = create_video_codec_preference_from_implementation(capability, SoraVideoCodecImplementation.INTEL_VPL)
    assert nobody.codecs == []


def test_wrong_arguments_are_errors() -> None:
    for wrong in (lambda: Sora(1), lambda: Sora(True, 5), lambda: Sora(None, video_codec_preference=object())):  # type: ignore[arg-type,call-overload]
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(TypeError):
        SoraVideoCodecCapability()
    with pytest.raises(TypeError):
        SoraVideoCodecPreference([1])  # type: ignore[list-item]
    with pytest.raises(ValueError):
        Codec(SoraVideoCodecType.VP8, 99)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        create_video_codec_preference_from_implementation(None, INTERNAL)  # type: ignore[arg-type]


def test_both_generations_make_a_sora(library: str) -> None:
    Sora(True, library)
    Sora(use_hardware_encoder=False, openh264=library)
    preference = create_video_codec_preference_from_implementation(get_video_codec_capability(library), OPENH264)
    Sora(library, preference)
    Sora(openh264=library, video_codec_preference=preference)
    with pytest.raises(RuntimeError, match="cisco_openh264 has no H264 encoder here"):
        Sora(None, preference)
    with pytest.raises(RuntimeError, match=r"H264 encoder here.*/nonexistent.so"):
        Sora("/nonexistent.so", preference)
    hardware = SoraVideoCodecPreference(
        [Codec(SoraVideoCodecType.AV1, SoraVideoCodecImplementation.NVIDIA_VIDEO_CODEC_SDK)]
    )
    with pytest.raises(RuntimeError, match="nvidia_video_codec_sdk has no AV1 encoder here"):
        Sora(video_codec_preference=hardware)


def test_what_the_preference_leaves_out_is_not_sent() -> None:
    sora = Sora(video_codec_preference=SoraVideoCodecPreference([Codec(SoraVideoCodecType.VP8, INTERNAL, INTERNAL)]))
    source = sora.create_video_source()
    with pytest.raises(RuntimeError, match="VP9 cannot be encoded"):
        sora.create_connection(["ws://x"], "sendonly", "c", video_source=source, video_codec_type="VP9")
    sora.create_connection(["ws://x"], "sendonly", "c", video_source=source, video_codec_type="VP8")


@pytest.mark.parametrize("codec", ["VP8", "VP9", "AV1", "H264"])
@pytest.mark.parametrize("size", [(321, 241), (640, 360)])
def test_pictures_arrive_in_their_size(
    make_client: Callable[..., Client], library: str, codec: str, size: tuple[int, int]
) -> None:
    sora = Sora(openh264=library)
    video = sora.create_video_source()
    make_client("sendonly", sora, video_source=video, video_codec_type=codec).connect()
    receiver = make_client("recvonly", Sora(openh264=library)).connect()
    wait_until(lambda: any(track.kind == "video" for track in receiver.tracks), "a video track")
    frames: list[np.ndarray] = []
    sink = SoraVideoSink(next(track for track in receiver.tracks if track.kind == "video"))
    sink.on_frame = lambda frame: frames.append(frame.data())
    with Feeder(video, None, size):
        wait_until(lambda: len(frames) >= 10, "pictures")
    # 4:2:0 pictures of H.264 have even sides.
    width, height = (size[0] & ~1, size[1] & ~1) if codec == "H264" else size
    assert frames[-1].shape == (height, width, 3)
    expected = picture(0, *size)[:height, :width]
    distance = min(
        np.abs(frames[-1].astype(int) - picture(n, *size)[:height, :width].astype(int)).mean() for n in range(30)
    )
    assert distance < 6 < np.abs(expected.astype(int) - 128).mean()


def test_h264_without_a_library_is_not_received(make_client: Callable[..., Client], library: str) -> None:
    sora = Sora(openh264=library)
    video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
    options = {"video_source": video, "audio_source": audio, "video_codec_type": "H264"}
    make_client("sendonly", sora, **options).connect()
    receiver = make_client("recvonly").connect()
    with Feeder(video, audio):
        wait_until(lambda: receiver.tracks, "a track")
    assert [track.kind for track in receiver.tracks] == ["audio"]


def test_simulcast_sends_three_layers_and_the_receiver_gets_the_one_it_asks_for(
    make_client: Callable[..., Client],
) -> None:
    sora = Sora()
    video = sora.create_video_source()
    sender = make_client("sendonly", sora, video_source=video, video_codec_type="VP8", simulcast=True).connect()
    receivers = {rid: make_client("recvonly", simulcast_request_rid=rid).connect() for rid in ("r0", "r1", "r2")}
    shapes: dict[str, list[tuple[int, ...]]] = {rid: [] for rid in receivers}
    sinks = []
    for rid, receiver in receivers.items():
        wait_until(lambda receiver=receiver: any(track.kind == "video" for track in receiver.tracks), "a video track")
        sink = SoraVideoSink(next(track for track in receiver.tracks if track.kind == "video"))
        sink.on_frame = lambda frame, rid=rid: shapes[rid].append(frame.data().shape)
        sinks.append(sink)
    expected = {"r0": (180, 320, 3), "r1": (360, 640, 3), "r2": (720, 1280, 3)}
    with Feeder(video, None, (1280, 720)):
        for rid, shape in expected.items():
            wait_until(lambda rid=rid, shape=shape: shapes[rid][-3:] == [shape] * 3, f"pictures of {rid}")
    stats = [
        s for s in json.loads(sender.connection.get_stats()) if s["type"] == "outbound-rtp" and s["kind"] == "video"
    ]
    assert sorted((s["rid"], s["frameWidth"], s["scalabilityMode"]) for s in stats) == [
        ("r0", 320, "L1T1"), ("r1", 640, "L1T1"), ("r2", 1280, "L1T1"),
    ]  # fmt: skip
    assert all(s["encoderImplementation"] == "SimulcastEncoderAdapter (libvpx, libvpx, libvpx)" for s in stats)
    assert len({s["ssrc"] for s in stats}) == 3


def test_degradation_preference_is_taken_as_enum_or_number() -> None:
    sora = Sora()
    for preference in [*SoraDegradationPreference, 0, 3, None]:
        sora.create_connection(["ws://x"], "sendonly", "c", degradation_preference=preference)
    for wrong in (4, -1, "x", 1.5):
        with pytest.raises(TypeError):
            sora.create_connection(["ws://x"], "sendonly", "c", degradation_preference=wrong)  # type: ignore[arg-type]
