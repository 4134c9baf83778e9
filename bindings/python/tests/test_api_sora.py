"""Sora, in the order of the documentation."""

from __future__ import annotations

import textwrap

import pytest
from conftest import run_script

from sora_sdk import (
    Sora,
    SoraAudioSource,
    SoraConnection,
    SoraTrackInterface,
    SoraVideoSource,
)
from sora_sdk.sora_sdk_ext import _parameters

DOCUMENTED = """
    signaling_urls role channel_id client_id bundle_id metadata signaling_notify_metadata audio_source video_source audio
    video audio_codec_type video_codec_type audio_bit_rate video_bit_rate video_vp9_params video_av1_params
    video_h264_params simulcast spotlight spotlight_number simulcast_rid spotlight_focus_rid spotlight_unfocus_rid
    forwarding_filter data_channels data_channel_signaling ignore_disconnect_websocket data_channel_signaling_timeout
    disconnect_wait_timeout websocket_close_timeout websocket_connection_timeout audio_streaming_language_code insecure
    client_cert client_key proxy_url proxy_username proxy_password proxy_agent
""".split()


def test_the_constructor() -> None:
    assert isinstance(Sora(), Sora)
    assert isinstance(Sora(use_hardware_encoder=True, openh264=None), Sora)
    assert isinstance(Sora(False, None), Sora)


def test_create_audio_source() -> None:
    source = Sora().create_audio_source(channels=1, sample_rate=16_000)
    assert isinstance(source, SoraAudioSource)
    assert isinstance(source, SoraTrackInterface)
    assert source.kind == "audio"


def test_create_video_source() -> None:
    source = Sora().create_video_source()
    assert isinstance(source, SoraVideoSource)
    assert isinstance(source, SoraTrackInterface)
    assert source.kind == "video"


def test_create_connection_has_every_documented_argument() -> None:
    # Each one's type, default and place in the connect message: test_arguments.py.
    known = {name for name, _, _ in _parameters()}
    assert set(DOCUMENTED) <= known
    made = Sora().create_connection(["ws://127.0.0.1:1/"], "sendonly", "sora", **dict.fromkeys(DOCUMENTED[3:]))  # type: ignore[arg-type]
    assert isinstance(made, SoraConnection)


MINIMAL = """
import time

from sora_sdk import Sora

if __name__ == "__main__":
    # Sora インスタンスを生成
    sora = Sora()
    # Sora に接続する
    conn = sora.create_connection(
        signaling_urls=["wss://example.com/signaling"],
        role="sendonly",
        channel_id="sora",
        {more}
    )
    conn.connect()

    # 接続するまで待つ
    time.sleep(3)

    # Sora から切断する
    conn.disconnect()
"""


@pytest.mark.parametrize("more", ["", 'metadata={"access_token": "access_token"},'])
def test_the_minimal_programs(url: str, more: str) -> None:
    program = textwrap.dedent(MINIMAL).replace("{more}", more).replace("wss://example.com/signaling", url)
    ran = run_script(program.replace("time.sleep(3)", "time.sleep(0.5)"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
