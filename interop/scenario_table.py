"""What the scenario server does, by the name in the channel id, and what the client does in each scenario."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

PLAIN_LABELS = {"#spam": False, "#egg": True}
ZLIB_LABELS = {"#spam": True, "#egg": False}
PUSH = {"type": "push", "data": {"x": 1, "ja": "日本"}}
NETWORK = {"type": "notify", "event_type": "network.status", "unstable_level": 0}
OVER_DC = {"type": "notify", "event_type": "connection.updated", "over": "dc"}
PUSH_DC = {"type": "push", "data": {"over": "dc"}}


def talk(spam: bytes, egg: bytes, *text: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Everything a server says over labels."""
    return [
        (1.0, "dc", "notify", OVER_DC), (1.1, "dc", "push", PUSH_DC), (1.2, "dc", "stats", {"type": "req-stats"}),
        (1.3, "dc", "#spam", spam), (1.4, "dc", "#egg", egg), *text,
    ]  # fmt: skip


SAID = talk(b"hello \x00\xff spam", b"hello egg", (1.5, "dc_text", "#spam", "a text message"))

#: Steps are (seconds after the connection stands, what, arguments).
SERVER: dict[str, dict[str, Any]] = {
    "plain": {},
    "ping": {
        "after": [
            (0.3, "ws", {"type": "ping"}), (0.6, "ws", {"type": "ping", "stats": True}),
            (0.9, "ws", {"type": "ping", "stats": False}), (1.0, "ws", PUSH), (1.1, "ws", NETWORK),
            (1.2, "ws", {"type": "something-new", "a": 1}),
        ],
    },
    "dc": {"labels": PLAIN_LABELS, "switch": False, "after": SAID},
    "dcz": {"labels": ZLIB_LABELS, "switch": True, "after": talk(b"hello compressed spam", b"hello egg")},
    "dcnoswitch": {"labels": PLAIN_LABELS},
    "dcbad": {
        "labels": PLAIN_LABELS, "switch": False,
        "after": [(0.8, "dc_raw", "notify", b"not zlib"), (1.0, "dc", "notify", OVER_DC)],
    },
    "dcbadjson": {
        "labels": PLAIN_LABELS, "switch": False,
        "after": [(0.8, "dc_raw", "notify", zlib.compress(b"{not json")), (1.0, "dc", "notify", OVER_DC)],
    },
    "dcsilent": {"labels": PLAIN_LABELS, "switch": False, "deaf": True},
    "wssilent": {"deaf": True},
    "reoffer": {"after": [(0.7, "offer_again", "re-offer"), (1.4, "offer_again", "update")]},
    "close1000": {"after": [(0.7, "close", 1000, "OK-NORMAL")]},
    "close4490": {"after": [(0.7, "close", 4490, "LIFETIME-EXPIRED")]},
    "close1011": {"after": [(0.7, "close", 1011, "INTERNAL")]},
    "closeempty": {"after": [(0.7, "close", 1000, "")]},
    "close4401early": {"close_early": (4401, "AUTH-ERROR")},
    "abort": {"after": [(0.7, "abort")]},
    "earlyabort": {"abort_early": True},
    "dcclose1000": {"labels": {}, "switch": False, "after": [(1.0, "close", 1000, "BYE")]},
    "dcabort": {"labels": {}, "switch": False, "after": [(1.0, "abort")]},
    "dczcloseall": {"labels": {}, "switch": True, "after": [(1.0, "close_labels"), (1.5, "close_peer")]},
    "disconnectmsg": {
        "after": [
            (0.5, "ws", {"type": "disconnect", "reason": "TEST"}), (0.8, "ws", PUSH),
            (1.2, "close", 1000, "AFTER-DISCONNECT"),
        ],
    },
    "pcclose": {"after": [(0.5, "close_peer")]},
    "icekill": {"after": [(0.5, "kill_ice")]},
    "badjson": {"after": [(0.5, "ws", "{nope")]},
    "notype": {"after": [(0.5, "ws", {"x": 1})]},
    "binary": {"after": [(0.5, "ws", b'{"type":"push"}')]},
    "nooffer": {"no_offer": True},
    "badsdp": {"bad_sdp": True},
    "offernoconn": {"without": ["connection_id"]},
    "offermin": {"minimal": True},
    "redirect": {"redirect": "WS"},
    "redirectbad": {"redirect": "foo://x"},
    "redirectdead": {"redirect": "ws://127.0.0.1:1/s"},
    "turn": {"turn": True},
    "simulcast": {"simulcast": True},
    "nostreamid": {"no_msid": True},
    **{f"codec{codec}": {"codec": codec} for codec in ("VP8", "VP9", "AV1", "H264", "H265")},
}  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """What a client does. Expressions are evaluated with `c`, the connection, and `tracks`."""

    channel: str
    role: str = "sendonly"
    seconds: float = 2.0
    sources: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    steps: tuple[tuple[float, str], ...] = ()
    callbacks: dict[str, str] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    sora: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = (320, 240)
    #: How far it gets before it leaves is a matter of speed: only the ending is compared.
    hurried: bool = False
    #: How the script ends: "disconnect", "gc" (references go without it), "leave" (nothing is let go), "hard" (os._exit).
    end: str = "disconnect"


def simple(name: str, **more: Any) -> dict[str, Scenario]:
    return {name: Scenario(name, **more)}


def send(label: str, data: str) -> str:
    return f"c.send_data_channel({label!r}, {data})"


STATS = "len(c.get_stats()) > 2"
METADATA = {
    "k": "v", "n": 1, "f": 0.1, "b": True, "z": None, "l": [1, "あ", [], {}], "o": {"p": {"q": 1}}, "big": 2**31 - 1, "e": "",
}  # fmt: skip
RULES = [[{"field": "connection_id", "operator": "is_in", "values": ["A", "B"]}]]
FULL = {
    "client_id": "cid", "bundle_id": "bid", "metadata": METADATA, "signaling_notify_metadata": {"nm": [1.5, "x"]},
    "audio": True, "video": True, "audio_codec_type": "OPUS", "video_codec_type": "VP8", "video_bit_rate": 1234,
    "audio_bit_rate": 64, "video_vp9_params": {"profile_id": 2}, "video_av1_params": {"profile": 1},
    "video_h264_params": {"profile_level_id": "42e01f"}, "spotlight": True, "spotlight_number": 3,
    "simulcast_rid": "r1", "spotlight_focus_rid": "r2", "spotlight_unfocus_rid": "r0",
    "forwarding_filter": {"action": "block", "rules": RULES, "version": "v1", "metadata": {"m": 1}},
    "data_channels": [{"label": "#spam", "direction": "sendrecv", "max_packet_life_time": 5000, "protocol": "abc"}],
    "data_channel_signaling": True, "ignore_disconnect_websocket": True, "data_channel_signaling_timeout": 99,
    "disconnect_wait_timeout": 4, "websocket_close_timeout": 2, "websocket_connection_timeout": 7,
    "audio_streaming_language_code": "ja-JP", "insecure": True, "client_cert": "/x", "client_key": "/y",
    "proxy_agent": "ag",
}  # fmt: skip
FALSE = {
    "client_id": "", "bundle_id": "", "metadata": {}, "signaling_notify_metadata": [], "audio": False, "video": True,
    "audio_codec_type": "", "video_bit_rate": 0, "audio_bit_rate": 0, "video_vp9_params": {}, "simulcast": False,
    "spotlight": False, "spotlight_number": 0, "simulcast_rid": "", "data_channels": [],
    "data_channel_signaling": False, "ignore_disconnect_websocket": False, "forwarding_filter": {"rules": []},
}  # fmt: skip
SINK = (
    "globals().setdefault('sinks', []).append(SoraVideoSink(tracks[-1]) if tracks[-1].kind == 'video' "
    "else SoraAudioStreamSink(tracks[-1], -1, 0)); sinks[-1].on_frame = lambda frame: None"
)
ALL = ("on_message", "on_notify", "on_push", "on_switched", "on_data_channel", "on_set_offer", "on_disconnect")

CLIENT: dict[str, Scenario] = {
    "default_noargs": Scenario("plain", "sendrecv", sources=False, steps=((1.0, STATS),)),
    "sendonly": Scenario("plain", steps=((1.5, STATS),)),
    "recvonly": Scenario("plain", "recvonly", sources=False, steps=((1.5, STATS),)),
    "sendrecv": Scenario("plain", "sendrecv", steps=((1.5, STATS),)),
    "bogusrole": Scenario("plain", "bogus"),
    "fullargs": Scenario("plain", "sendrecv", options=FULL),
    "falseargs": Scenario("plain", "sendrecv", sources=False, options=FALSE),
    "videofalse": Scenario("plain", "sendrecv", sources=False, options={"video": False, "video_codec_type": "VP9"}),
    "audio_br_only": Scenario("plain", "sendrecv", sources=False, options={"audio_bit_rate": 32, "video_bit_rate": 500}),
    "meta_odd": Scenario("plain", "sendrecv", sources=False, options={"metadata": {"nan": float("nan")}}),
    "meta_str": Scenario("plain", "sendrecv", sources=False, options={"metadata": "just a string"}),
    **simple("ping"),
    **simple(
        "dc",
        steps=(
            (0.8, send("#spam", "b'from client'")), (0.85, send("#egg", "b'from client egg'")),
            (0.9, send("#nolabel", "b'x'")), (1.0, send("#spam", "b''")), (1.1, send("#spam", "bytes(60000)")),
            (1.7, STATS),
        ),
    ),
    "dcbig": Scenario(
        "dcnoswitch", steps=((0.8, send("#spam", "bytes(262144)")), (1.0, send("#spam", "bytes(300000)")), (1.2, send("#spam", "b'after'")))
    ),
    **simple("dcz", steps=((0.8, send("#spam", "b'from client'")), (0.9, send("#egg", "b'from client egg'")))),
    **simple("dcnoswitch", steps=((0.8, send("#spam", "b'from client'")),)),
    "dc_recv_notify_nocb": Scenario("dc", silent=ALL),
    **simple("dcbad"), **simple("dcbadjson"),
    "dcsilent": Scenario("dcsilent", options={"disconnect_wait_timeout": 2, "websocket_close_timeout": 1}),
    "dcsilent_default": Scenario("dcsilent"),
    "wssilent": Scenario("wssilent"),
    "wssilent_t1": Scenario("wssilent", options={"websocket_close_timeout": 1}),
    **{
        name: Scenario(name, seconds=2.5)
        for name in (
            "reoffer", "close1000", "close4490", "close1011", "closeempty", "close4401early", "abort", "earlyabort",
            "dcclose1000", "dcabort", "dczcloseall", "disconnectmsg", "badjson", "notype", "binary", "nooffer", "badsdp",
            "offernoconn", "offermin", "redirect", "redirectbad", "redirectdead", "turn", "simulcast", "codecVP8",
            "codecVP9", "codecAV1", "codecH264", "codecH265",
        )
    },
    "nostreamid": Scenario("nostreamid", "recvonly", sources=False),
    "pcclose": Scenario("pcclose", seconds=8),
    "icekill": Scenario("icekill", seconds=30),
    "wss_secure": Scenario("plain", options={"signaling_urls": ["WSS"]}),
    "wss_insecure": Scenario("plain", options={"signaling_urls": ["WSS"], "insecure": True}),
    "wss_to_plain": Scenario("plain", options={"signaling_urls": ["ws2WSS"], "insecure": True}),
    "ws_to_tls": Scenario("plain", options={"signaling_urls": ["wss2WS"]}),
    "wss_badcert_file": Scenario(
        "plain",
        options={"signaling_urls": ["WSS"], "insecure": True, "client_cert": "/nonexistent", "client_key": "/nonexistent"},
    ),
    "http404": Scenario("plain", options={"signaling_urls": ["MISSING"]}),
    "slam": Scenario("plain", options={"signaling_urls": ["SLAMMING"]}),
    "blackhole_wct5": Scenario(
        "plain", seconds=34, options={"signaling_urls": ["SILENT"], "websocket_connection_timeout": 5}
    ),
    "multi_urls": Scenario("plain", options={"signaling_urls": ["SILENT", "ws://127.0.0.1:1/b", "bogus", "WS", "WS"]}),
    "url_userinfo": Scenario("plain", options={"signaling_urls": ["USERINFO"]}),
    "disc_in_notify": Scenario("plain", callbacks={"on_notify": "c.disconnect()"}),
    "disc_in_thread": Scenario("plain", callbacks={"on_notify": "threading.Thread(target=c.disconnect).start()"}),
    "disc_0": Scenario("plain", seconds=0, sources=False, options={"signaling_urls": ["SILENT"]}),
    "disc_immediately": Scenario("plain", seconds=0.05, hurried=True),
    "url_nopath": Scenario("plain", options={"signaling_urls": ["NOPATH"]}),
    "stats_early": Scenario("plain", before=("c.get_stats()",), steps=((0.5, STATS),)),
    "connect_twice": Scenario("plain", steps=((0.7, "c.connect()"),)),
    "reconnect_after_disc": Scenario("plain", steps=((0.7, "c.disconnect()"), (0.9, "c.connect()"))),
    "send_in_cb": Scenario("dc", callbacks={"on_data_channel": "c.send_data_channel('#spam', b'x'); c.get_stats()"}),
    "exc_in_notify": Scenario("plain", callbacks={"on_notify": "raise ValueError('boom')"}),
    "exc_in_track": Scenario("plain", "recvonly", sources=False, callbacks={"on_track": "raise ValueError('boom')"}),
    "sysexit_in_notify": Scenario("plain", callbacks={"on_notify": "raise SystemExit(3)"}),
    "slow_cb": Scenario("ping", seconds=3, callbacks={"on_notify": "time.sleep(1)"}),
    "exit_connected": Scenario("plain", end="leave"),
    "exit_connected_gc": Scenario("plain", end="gc"),
    "exit_hard": Scenario("plain", end="hard"),
    "exit_connected_recv": Scenario("plain", "recvonly", sources=False, end="leave", callbacks={"on_track": SINK}),
    "track_after_disc": Scenario(
        "plain", "recvonly", sources=False,
        steps=(
            (0.8, "[track.set_enabled(False) for track in tracks]"), (1.0, "c.disconnect()"),
            (1.2, "[(track.kind, track.state.name, track.enabled) for track in tracks]"),
        ),
    ),
    "badlabel_cb": Scenario(
        "plain:use_client_dcs",
        options={
            "data_channels": [{"label": "#a", "direction": "sendrecv"}, {"label": "b", "direction": "sendrecv"}],
            "data_channel_signaling": True,
        },
        steps=((1.0, send("#a", "b'1'")),),
    ),
    "wrong_kind_sources": Scenario("plain"),
    "proxy_dead": Scenario("plain", options={"signaling_urls": ["WSS"], "insecure": True, "proxy_url": "http://127.0.0.1:9"}),
    "proxy_ws_ignored": Scenario("plain", options={"proxy_url": "http://127.0.0.1:9"}),
    "simulcast720": Scenario("simulcast", size=(1280, 720), options={"simulcast": True}),
    "h264_nolib": Scenario("codecH264", sora={"openh264": "/nonexistent.so"}),
    "h264_lib": Scenario("codecH264", sora={"openh264": "libopenh264.so.7"}),
    "h264_recv_nolib": Scenario("codecH264", "recvonly", sources=False),
}  # fmt: skip
