"""What sources, sinks and create_connection accept, and how they refuse the rest."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from conftest import picture, tone

import sora_sdk
from sora_sdk import (
    Sora,
    SoraAudioFrame,
    SoraAudioSink,
    SoraAudioStreamSink,
    SoraConnection,
    SoraLoggingSeverity,
    SoraMediaTrack,
    SoraSignalingErrorCode,
    SoraTrackInterface,
    SoraTrackState,
    SoraVAD,
    SoraVideoSink,
    enable_libwebrtc_log,
)

URL = ["ws://127.0.0.1:1/signaling"]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "good",
    [
        picture(),
        picture()[:, ::-1],
        picture()[::2, ::2],
        np.asfortranarray(picture()),
        picture().astype(np.float32),
        picture().astype(bool),
        memoryview(picture()),
        read_only(picture()),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((241, 321, 3), np.uint8),
    ],
)
def test_pictures_that_are_taken(good: Any) -> None:
    source = Sora().create_video_source()
    frames = []
    sink = SoraVideoSink(source)
    sink.on_frame = frames.append
    assert source.on_captured(good) is None
    assert source.on_captured(good, 1.5) is None
    assert source.on_captured(good, 1_500_000) is None
    assert source.on_captured(good, timestamp_us=2_000_000) is None


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "picture",
        b"picture",
        [[[1, 2, 3]]],
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros((1, 4, 4, 3), np.uint8),
        np.zeros((4, 4, 3), np.complex64),
        np.zeros((4, 4, 3), object),
    ],
)
def test_pictures_that_are_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        Sora().create_video_source().on_captured(bad)


def test_pictures_beyond_any_codec_are_refused() -> None:
    source = Sora().create_video_source()
    sink = SoraVideoSink(source)
    sink.on_frame = lambda frame: None
    with pytest.raises(ValueError, match="picture"):
        source.on_captured(np.zeros((1, 16_384, 3), np.uint8))


@pytest.mark.parametrize("timestamp", [float("nan"), float("inf"), -1.0, 0, -5, 1e300])
def test_odd_timestamps_are_taken(timestamp: float) -> None:
    source = Sora().create_video_source()
    sink = SoraVideoSink(source)
    sink.on_frame = lambda frame: None
    source.on_captured(picture(), timestamp)


@pytest.mark.parametrize(
    ("good", "channels"),
    [
        (tone(0, 480), 1),
        (tone(0, 1), 1),
        (tone(0, 0), 1),
        (np.repeat(tone(0, 333), 2, axis=1), 2),
        (np.repeat(tone(0, 333), 3, axis=1)[::-1], 3),
        (tone(0, 480).astype(np.float64), 1),
        (memoryview(tone(0, 480)), 1),
        (read_only(tone(0, 480)), 1),
    ],
)
def test_sound_that_is_taken(good: Any, channels: int) -> None:
    source = Sora().create_audio_source(channels, 48_000)
    assert source.on_data(good) is None
    assert source.on_data(good, 1.0) is None


@pytest.mark.parametrize(
    "bad", [None, "x", b"xx", [1], tone(0, 480)[:, 0], tone(0, 4)[None], tone(0, 4).astype(">i2"), 140]
)
def test_sound_that_is_refused(bad: Any) -> None:
    with pytest.raises(TypeError):
        Sora().create_audio_source(1, 48_000).on_data(bad)


def test_sound_of_another_channel_count_is_refused() -> None:
    with pytest.raises(ValueError, match="2 channels, got 1"):
        Sora().create_audio_source(2, 48_000).on_data(tone(0, 480))


@pytest.mark.parametrize("arguments", [(0, 48_000), (1, 0), (1, -1), (9, 48_000), (-1, 48_000), (1, 7_999)])
def test_impossible_audio_formats_are_value_errors(arguments: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Sora().create_audio_source(*arguments)


@pytest.mark.parametrize("arguments", [(1.5, 48_000), (None, 48_000), (1, 2**40), ("x", 1), (1, [])])
def test_audio_formats_of_wrong_types_are_type_errors(arguments: tuple[Any, Any]) -> None:
    with pytest.raises(TypeError):
        Sora().create_audio_source(*arguments)


def test_numbers_in_other_clothes_are_taken() -> None:
    for channels, rate in [(np.int64(1), np.int32(48_000)), ("1", "48000"), (True, 48_000)]:
        assert Sora().create_audio_source(channels, rate).kind == "audio"


@pytest.mark.parametrize("arguments", [(), (True,), (False,), (None,), (None, None), (True, "")])
def test_both_generations_of_sora_arguments(arguments: tuple[Any, ...]) -> None:
    assert isinstance(Sora(*arguments), Sora)


@pytest.mark.parametrize("arguments", [(1,), ([],), (True, 1)])
def test_wrong_sora_arguments(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Sora(*arguments)


def connection(**options: Any) -> SoraConnection:
    given = {"signaling_urls": URL, "role": "sendonly", "channel_id": "test", **options}
    return Sora().create_connection(**given)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"signaling_urls": []}, "`signaling_urls` should not be empty"),
        ({"signaling_urls": "ws://x"}, "`signaling_urls` should be a list of strings"),
        ({"signaling_urls": [1]}, "`signaling_urls` should be a list of strings"),
        ({"signaling_urls": None}, "`signaling_urls` should be a list of strings"),
        ({"role": 1}, "role must be a str"),
        ({"role": None}, "role must be a str"),
        ({"channel_id": b"x"}, "channel_id must be a str"),
        ({"metadata": {1}}, "Invalid JSON value in metadata"),
        ({"metadata": {"a": [1, {"b": b""}]}}, r'Invalid JSON value in metadata at \["a"\]\[1\]\["b"\]'),
        ({"metadata": {1: 2}}, "keys must be str"),
        ({"metadata": float("nan")}, "not finite"),
        ({"metadata": 2**65}, "beyond 64 bits"),
        ({"metadata": "\ud800"}, "surrogates"),
        ({"signaling_notify_metadata": object()}, "Invalid JSON value in signaling_notify_metadata"),
        ({"video_vp9_params": {1}}, "Invalid JSON value in video_vp9_params"),
        ({"forwarding_filter": {}}, "Invalid forwarding_filter"),
        ({"data_channels": [{}]}, "Invalid data_channels"),
        ({"data_channels": [{"label": "#x", "direction": "sendrecv", "ordered": 1}]}, "Invalid data_channels"),
        ({"audio": 1}, "audio must be a bool"),
        ({"video_bit_rate": 1.5}, "video_bit_rate must be a 32 bit int"),
        ({"video_bit_rate": 2**40}, "video_bit_rate must be a 32 bit int"),
        ({"audio_source": 1}, "audio_source must be a track of audio, not int"),
        ({"nonsense": 1}, "unexpected keyword argument 'nonsense'"),
    ],
)
def test_arguments_that_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        connection(**options)


def test_nesting_without_end_is_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["self"] = metadata
    with pytest.raises(TypeError, match="nested deeper"):
        connection(metadata=metadata)


def test_sources_of_the_wrong_kind_are_refused() -> None:
    sora = Sora()
    with pytest.raises(TypeError):
        connection(audio_source=sora.create_video_source())
    with pytest.raises(TypeError):
        connection(video_source=sora.create_audio_source(1, 48_000))


def test_arguments_that_are_taken() -> None:
    for options in (
        {"metadata": ("a", 1, 2**40, 0.1, None, True, {"b": []})},
        {"metadata": np.int64(5), "signaling_notify_metadata": np.float32(0.5)},
        {"role": "bogus"},
        {"signaling_urls": ["foo"]},
        {"client_id": "", "bundle_id": "x", "audio": None, "video": False, "simulcast": False},
        {"data_channels": [{"label": "#x", "direction": "sendrecv", "ordered": None, "unknown": 1}]},
    ):
        assert isinstance(connection(**options), SoraConnection)
    assert isinstance(Sora().create_connection(URL, "sendonly", "test"), SoraConnection)


def test_callbacks_are_callables_or_none() -> None:
    made = connection()
    assert made.on_notify is None

    def callback(_: str) -> None: ...

    made.on_notify = callback
    assert made.on_notify is callback
    with pytest.raises(TypeError):
        made.on_notify = 1  # type: ignore[assignment]
    made.on_notify = None
    assert made.on_notify is None
    with pytest.raises(AttributeError):
        made.on_nothing = callback  # type: ignore[attr-defined]


def test_sinks_check_their_arguments() -> None:
    sora = Sora()
    video, audio = sora.create_video_source(), sora.create_audio_source(1, 48_000)
    for make in (SoraAudioSink, SoraAudioStreamSink):
        with pytest.raises(TypeError):
            make(video)
        with pytest.raises(TypeError):
            make(None)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="output frequency"):
            make(audio, 7, 0)
        with pytest.raises(ValueError, match="output channels"):
            make(audio, -1, 99)
    with pytest.raises(TypeError):
        SoraVideoSink(audio)
    with pytest.raises(TypeError):
        SoraAudioSink(audio).read(-1)


def test_reading_what_is_there_and_what_is_not() -> None:
    source = Sora().create_audio_source(1, 48_000)
    sink = SoraAudioSink(source, 16_000, 2)
    assert sink.read() == (False, None)
    assert sink.read(160, 0) == (False, None)
    assert sink.read(160, -1) == (False, None)
    source.on_data(tone(0, 4_800))
    ok, data = sink.read(160, 1)
    assert ok
    assert data is not None
    assert data.shape == (160, 2)
    ok, rest = sink.read()
    assert ok
    assert rest is not None
    assert rest.shape[1] == 2


def test_audio_frames_pickle_in_the_references_form() -> None:
    state = ([0, 1, 65_535, 32_768], 2, 2, 24_000, 1234)
    frame = SoraAudioFrame.__new__(SoraAudioFrame)
    frame.__setstate__(state)
    assert frame.data().tolist() == [[0, 1], [-1, -32_768]]
    again = pickle.loads(pickle.dumps(frame))
    assert again.__getstate__() == state
    assert (again.samples_per_channel, again.num_channels, again.sample_rate_hz) == (2, 2, 24_000)
    assert again.absolute_capture_timestamp_ms == 1234
    for bad in (
        ([1], 2, 1, 24_000, None),
        ([70_000], 1, 1, 24_000, None),
        ([-1], 1, 1, 24_000, None),
        ([], 0, 0, 1, None),
    ):
        with pytest.raises((TypeError, OverflowError)):
            frame.__setstate__(bad)


def test_enums_are_int_enums_that_print_their_names() -> None:
    code = SoraSignalingErrorCode.ICE_FAILED
    assert code == 8
    assert isinstance(code, int)
    assert str(code) == repr(code) == f"{code}" == "SoraSignalingErrorCode.ICE_FAILED"
    assert pickle.loads(pickle.dumps(code)) is code
    with pytest.raises(ValueError, match="99"):
        SoraSignalingErrorCode(99)


#: Every enum with its members as the reference has them.
ENUMS = {
    "SoraSignalingErrorCode": (
        "CLOSE_SUCCEEDED CLOSE_FAILED INTERNAL_ERROR INVALID_PARAMETER WEBSOCKET_HANDSHAKE_FAILED WEBSOCKET_ONCLOSE "
        "WEBSOCKET_ONERROR PEER_CONNECTION_STATE_FAILED ICE_FAILED"
    ),
    "SoraLoggingSeverity": "VERBOSE INFO WARNING ERROR NONE",
    "SoraTrackState": "LIVE ENDED",
    "SoraSignalingType": "WEBSOCKET DATACHANNEL",
    "SoraSignalingDirection": "SENT RECEIVED",
    "SoraDegradationPreference": "DISABLED MAINTAIN_FRAMERATE MAINTAIN_RESOLUTION BALANCED",
    "SoraVideoCodecType": "- VP8 VP9 AV1 H264 H265",
    "SoraVideoCodecImplementation": "INTERNAL CISCO_OPENH264 INTEL_VPL NVIDIA_VIDEO_CODEC_SDK AMD_AMF",
    "SoraTransformableFrameDirection": "UNKNOWN RECEIVER SENDER",
    "SoraTransformableAudioFrameType": "EMPTY SPEECH CN",
}


@pytest.mark.parametrize("name", ENUMS)
def test_every_enum_has_the_members_of_the_reference(name: str) -> None:
    members = {member: number for number, member in enumerate(ENUMS[name].split()) if member != "-"}
    enum = getattr(sora_sdk, name)
    assert {member.name: member.value for member in enum} == members
    assert all(str(member) == f"{name}.{member.name}" for member in enum)


def test_log_levels() -> None:
    for level in (SoraLoggingSeverity.NONE, 4, SoraLoggingSeverity.NONE):
        assert enable_libwebrtc_log(level) is None
    for bad in ("x", None, 99, 1.5):
        with pytest.raises(TypeError):
            enable_libwebrtc_log(bad)  # type: ignore[arg-type]


def test_tracks_and_frames_are_not_made_by_hand() -> None:
    for cls in (SoraConnection, SoraMediaTrack):
        with pytest.raises(TypeError):
            cls()


def test_tracks_tell_about_themselves() -> None:
    source = Sora().create_video_source()
    assert (source.kind, len(source.id), source.enabled, source.state) == ("video", 16, True, SoraTrackState.LIVE)
    assert source.set_enabled(False)
    assert not source.set_enabled(False)
    assert not source.enabled
    with pytest.raises(AttributeError):
        source.enabled = True  # type: ignore[misc]


def test_subclasses_may_have_arguments_of_their_own() -> None:
    class Named(Sora):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class Pictures(SoraVideoSink):
        def __init__(self, name: str, track: SoraTrackInterface) -> None:
            super().__init__(track)
            self.name = name

    class Sounds(SoraAudioSink):
        def __init__(self, name: str, track: SoraTrackInterface) -> None:
            super().__init__(track, 16_000, output_channels=1)
            self.name = name

    class Stream(SoraAudioStreamSink):
        def __init__(self, *, track: SoraTrackInterface, name: str) -> None:
            super().__init__(track=track, output_frequency=16_000)
            self.name = name

    class Voices(SoraVAD):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    sora = Named("a")
    audio = sora.create_audio_source(1, 48_000)
    made = [sora, Pictures("b", sora.create_video_source()), Sounds("c", audio), Stream(track=audio, name="d")]
    assert [thing.name for thing in (*made, Voices("e"))] == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("cls", [Sora, SoraVideoSink, SoraAudioSink, SoraAudioStreamSink, SoraVAD])
def test_what_was_not_initialised_says_so(cls: Any) -> None:
    class Forgetful(cls):
        def __init__(self) -> None:
            pass

    made: Any = Forgetful()
    calls = [
        lambda: made.create_connection(["ws://127.0.0.1:1"], "sendonly", "c"),
        lambda: setattr(made, "on_frame", print),
        lambda: setattr(made, "on_data", print),
        lambda: made.read(),
        lambda: made.analyze(SoraAudioFrame.__new__(SoraAudioFrame)),
    ]
    refused = 0
    for call in calls:
        try:
            call()
        except RuntimeError as error:
            assert f"{cls.__name__}.__init__() was not called" in str(error)
            refused += 1
        except AttributeError:
            pass
    assert refused >= 1


def test_initialising_twice_is_refused() -> None:
    sora = Sora()
    with pytest.raises(RuntimeError, match="called before"):
        sora.__init__()  # type: ignore[misc]
