"""Every argument of create_connection, one by one: what it takes, where it goes, and that the stub agrees."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Client, wait_until

import sora_sdk
from sora_sdk import Sora, SoraConnection, SoraSignalingDirection
from sora_sdk.sora_sdk_ext import _parameters

PARAMETERS = [(name, kind) for name, kind, _ in _parameters()]
REQUIRED = {"signaling_urls": ["ws://127.0.0.1:1/"], "role": "sendrecv", "channel_id": "test"}
RULES = [[{"field": "kind", "operator": "is_in", "values": ["audio"]}]]
#: A value for each kind, and what must not be taken for it.
EXAMPLES: dict[str, tuple[Any, Any]] = {
    "Urls": (["ws://127.0.0.1:1/"], "ws://127.0.0.1:1/"),
    "Role": ("recvonly", 1),
    "Text": ("text", 1),
    "Flag": (True, 1),
    "Integer": (7, 1.5),
    "Seconds": (7, "soon"),
    "Json": ({"a": [1, 2**53 + 1, 0.1, None, "\0あ"]}, {"a": {1}}),
    "ForwardingFilter": ({"rules": RULES, "action": "block"}, {"rules": 1}),
    "DataChannels": ([{"label": "#a", "direction": "sendrecv", "compress": True}], [1]),
    "AudioSource": (Sora().create_audio_source(1, 48_000), 1),
    "VideoSource": (Sora().create_video_source(), 1),
    "Pem": (b"-----BEGIN", 1.5),
    "Degradation": (sora_sdk.SoraDegradationPreference.BALANCED, 4),
    "AudioTransformer": (sora_sdk.SoraAudioFrameTransformer(), sora_sdk.SoraVideoFrameTransformer()),
    "VideoTransformer": (sora_sdk.SoraVideoFrameTransformer(), sora_sdk.SoraAudioFrameTransformer()),
}
#: Where values that are sent stand in the connect message.
PLACES = {
    "audio_codec_type": ("audio", "codec_type"), "audio_bit_rate": ("audio", "bit_rate"),
    "audio_opus_params": ("audio", "opus_params"), "video_codec_type": ("video", "codec_type"),
    "video_bit_rate": ("video", "bit_rate"), "video_vp9_params": ("video", "vp9_params"),
    "video_av1_params": ("video", "av1_params"), "video_h264_params": ("video", "h264_params"),
}  # fmt: skip
NOT_SENT = {
    "signaling_urls", "audio_source", "video_source", "data_channel_signaling_timeout", "disconnect_wait_timeout",
    "websocket_close_timeout", "websocket_connection_timeout", "insecure", "client_cert", "client_key", "ca_cert",
    "proxy_url", "proxy_username", "proxy_password", "proxy_agent", "user_agent",
    "degradation_preference", "audio_frame_transformer", "video_frame_transformer",
}  # fmt: skip


def example(name: str, kind: str) -> Any:
    if name == "proxy_url":
        return "http://127.0.0.1:1"
    return EXAMPLES[kind][0]


def connection(**options: Any) -> SoraConnection:
    return Sora().create_connection(**{**REQUIRED, **options})


def sent_connect(client: Client) -> dict[str, Any]:
    """The connect message of a client that has connected."""
    for _, direction, text in client.named("on_signaling_message"):
        message: dict[str, Any] = json.loads(text)
        if direction == SoraSignalingDirection.SENT and message["type"] == "connect":
            return message
    raise AssertionError("no connect message was told")


@pytest.mark.parametrize(("name", "kind"), PARAMETERS)
def test_each_argument_takes_its_kind_and_no_other(name: str, kind: str) -> None:
    assert isinstance(connection(**{name: example(name, kind)}), SoraConnection)
    with pytest.raises((TypeError, ValueError), match=name if kind not in {"Urls"} else "signaling_urls"):
        connection(**{name: EXAMPLES[kind][1]})


@pytest.mark.parametrize("name", [name for name, _ in PARAMETERS if name not in REQUIRED])
def test_none_is_as_good_as_leaving_it_out(name: str) -> None:
    assert isinstance(connection(**{name: None}), SoraConnection)


@pytest.mark.parametrize(("name", "kind"), [p for p in PARAMETERS if p[0] not in NOT_SENT])
def test_each_argument_that_is_sent_arrives_at_its_place(
    make_client: Callable[..., Client], name: str, kind: str
) -> None:
    value = example(name, kind)
    options = {"video_codec_type": "VP9", "audio_codec_type": "OPUS", "channel_id": "test_arguments"}
    given = options.get(name, value)
    client = make_client(**{"role": "sendrecv", name: given})
    client.connection.connect()
    wait_until(lambda: client.named("on_signaling_message"), "the first message")
    message: Any = sent_connect(client)
    for step in PLACES.get(name, (name,)):
        message = message[step]
    assert message == given


def test_what_is_not_sent_leaves_no_trace(make_client: Callable[..., Client]) -> None:
    plain = sent_connect(make_client("sendonly").connect())
    options = {
        name: example(name, kind)
        for name, kind in PARAMETERS
        if name in NOT_SENT and not name.startswith(("proxy", "client_", "ca_", "signaling_urls"))
    }
    assert sent_connect(make_client("sendonly", **options).connect()) == plain


def test_the_first_words_are_those_of_the_reference(make_client: Callable[..., Client]) -> None:
    message = sent_connect(make_client("sendonly").connect())
    assert list(message)[:4] == ["type", "role", "channel_id", "sora_client"]
    assert message["sora_client"] == f"Sora Python SDK {sora_sdk.__version__}"
    assert "libwebrtc" not in message
    assert message["environment"]
    assert (message["audio"], message["video"]) == (True, True)


def test_values_are_not_narrowed(make_client: Callable[..., Client]) -> None:
    metadata = {
        "big": 2**63 - 1, "unsigned": 2**64 - 1, "negative": -(2**63), "double": 0.1, "tiny": 5e-324,
        "tuple": (1, 2), "numpy": np.int64(7), "float32": np.float32(0.5), "nul": "a\0b", "emoji": "😀", "none": None,
    }  # fmt: skip
    message = sent_connect(make_client("sendonly", metadata=metadata).connect())
    expected = {**metadata, "tuple": [1, 2], "numpy": 7, "float32": 0.5}
    assert message["metadata"] == expected


@pytest.mark.parametrize(
    ("value", "path"),
    [({"a": [1, {2}]}, r'\["a"\]\[1\]'), ({"a": object()}, r'\["a"\]'), ([float("nan")], r"\[0\]"), ({1: 2}, "keys")],
)
def test_what_is_no_json_is_named_by_its_path(value: Any, path: str) -> None:
    with pytest.raises(TypeError, match=f"metadata.*{path}"):
        connection(metadata=value)


def test_positional_arguments_of_both_generations(make_client: Callable[..., Client], url: str) -> None:
    head = (None, None, None, None, None, None)
    old = Sora().create_connection([url], "sendonly", "old", *head, True, False, "OPUS", None, 500, 64)
    new = Sora().create_connection([url], "sendonly", "new", *head, None, None, True, False, "OPUS", None, 500, 64)
    for made in (old, new):
        client = Client(made)
        client.listen()
        client.connect()
        message = sent_connect(client)
        assert message["audio"] == {"codec_type": "OPUS", "bit_rate": 64}
        assert message["video"] is False
        made.disconnect()


def test_what_cannot_be_an_argument_is_told() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'nonsense'"):
        connection(nonsense=1)
    with pytest.raises(TypeError, match="missing required argument: 'channel_id'"):
        Sora().create_connection(["ws://x"], "sendonly")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'role' twice"):
        Sora().create_connection(["ws://x"], "sendonly", "c", role="recvonly")  # type: ignore[misc]
    with pytest.raises(TypeError, match="at most"):
        Sora().create_connection(*([None] * 60))
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        connection(proxy_url="socks5://x:1", proxy_password="secret")


STUB_TYPES = {
    "Urls": "list[str] | tuple[str, ...]", "Role": "str", "Text": "str | None = None", "Flag": "bool | None = None",
    "Integer": "int | None = None", "Seconds": "int | None = None", "Json": "Any = None",
    "ForwardingFilter": "dict[str, Any] | None = None", "DataChannels": "list[dict[str, Any]] | None = None",
    "AudioSource": "SoraTrackInterface | None = None", "VideoSource": "SoraTrackInterface | None = None",
    "Pem": "str | os.PathLike[str] | bytes | None = None",
    "AudioTransformer": "SoraAudioFrameTransformer | None = None",
    "VideoTransformer": "SoraVideoFrameTransformer | None = None",
    "Degradation": "SoraDegradationPreference | int | None = None",
}  # fmt: skip


def test_the_stub_says_the_same() -> None:
    package = Path(inspect.getfile(sora_sdk)).parent
    stub = (package / "sora_sdk_ext.pyi").read_text()
    types = {name: "str" if name == "channel_id" else STUB_TYPES[kind] for name, kind in PARAMETERS}
    expected = "".join(f"        {name}: {text},\n" for name, text in types.items())
    assert f"        self,\n{expected}    ) -> SoraConnection:" in stub, f"the signature should be\n{expected}"


def test_the_signature_and_the_documentation_say_the_same() -> None:
    shown = list(inspect.signature(Sora.create_connection).parameters.values())[1:]
    assert [parameter.name for parameter in shown] == [name for name, _ in PARAMETERS]
    assert [p.name for p in shown if p.default is inspect.Parameter.empty] == list(REQUIRED)
    documented = " ".join((inspect.getdoc(Sora.create_connection) or "").split())
    for name, _, doc in _parameters():
        line = f"{name}: {' '.join(doc.split())}"
        assert line in documented, f"create_connection.txt should say: {line}"
