"""What our package does otherwise than sora_sdk 2024.3.0 in a scenario, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Endings whose words 2025 changed; ours are those of 2025.
TEXTS = {
    "Succeeded to close WebSocket": "Succeeded to close WebSocket (DC signaling is not enabled)",
    "Succeeded to close DataChannel and Websocket": "Succeeded to close Websocket (DC signaling is enabled)",
}


@dataclass(frozen=True)
class Difference:
    """One row of the table in docs/PYTHON_API.md. Without callbacks those of the record are expected all the same."""

    reference: str
    ours: str
    reason: str
    callbacks: list[list[Any]] | None = None


START = [["on_set_offer"], ["on_notify", "connection.created"]]
TRACKS = [["on_track", "audio", "stream"], ["on_track", "video", "stream"]]
BY_SERVER = "ec=The WebSocket stream was gracefully closed at both endpoints wscode=1000 wsreason="
WAITED = (
    "Failed to close WebSocket (Close timeout): ec=Connection timed out wscode=4999 "
    "wsreason=DISCONNECT-WAIT-TIMEOUT-ERROR"
)
LOST_FILE = "client_cert cannot be read from /nonexistent: No such file or directory (os error 2)"
CHANGED = "2025 changed it, and ours does as 2025 does"
ABORTS = "the process aborts"
LIVES = "the connection lives on and ends as usual"


def ended(code: str, text: str) -> list[Any]:
    return ["on_disconnect", code, text]


def switched(ignore: str) -> list[Any]:
    return ["on_switched", f'{{"type": "switched", "ignore_disconnect_websocket": {ignore}}}']


CLEAN = ended("CLOSE_SUCCEEDED", "Succeeded to close WebSocket (DC signaling is not enabled)")
HYBRID = [START[0], switched("false"), START[1]]

DIFFERENCES: dict[str, Difference] = {
    "meta_odd": Difference(
        "NaN in metadata is sent as null", "TypeError that names the place", "a value must not change on its way", []
    ),
    "dcbad": Difference(
        ABORTS, "a message that cannot be inflated is dropped", "a server must not be able to end the process",
        [*HYBRID, ["on_notify", "connection.updated"], ended("CLOSE_SUCCEEDED", TEXTS["Succeeded to close DataChannel and Websocket"])],
    ),
    "dcsilent": Difference(
        "CLOSE_FAILED with two causes", "CLOSE_FAILED, close timeout", CHANGED, [*HYBRID, ended("CLOSE_FAILED", WAITED)]
    ),
    "dcsilent_default": Difference(
        "CLOSE_FAILED with two causes", "CLOSE_FAILED, close timeout", CHANGED, [*HYBRID, ended("CLOSE_FAILED", WAITED)]
    ),
    "close1000": Difference(
        "WEBSOCKET_ONCLOSE", "CLOSE_SUCCEEDED", CHANGED,
        [*START, ended("CLOSE_SUCCEEDED", f"Succeeded to close WebSocket from server: {BY_SERVER}OK-NORMAL")],
    ),
    "closeempty": Difference(
        "WEBSOCKET_ONCLOSE", "CLOSE_SUCCEEDED", CHANGED,
        [*START, ended("CLOSE_SUCCEEDED", f"Succeeded to close WebSocket from server: {BY_SERVER}")],
    ),
    "dcclose1000": Difference(
        "WEBSOCKET_ONCLOSE", "CLOSE_SUCCEEDED", CHANGED,
        [*HYBRID, ended("CLOSE_SUCCEEDED", f"Succeeded to close WebSocket and DataChannel from server: {BY_SERVER}BYE")],
    ),
    "disconnectmsg": Difference(
        "WEBSOCKET_ONCLOSE", "CLOSE_SUCCEEDED", CHANGED,
        [
            *START, ["on_push", '{"type": "push", "data": {"x": 1, "ja": "\\u65e5\\u672c"}}'],
            ended("CLOSE_SUCCEEDED", f"Succeeded to close WebSocket from server: {BY_SERVER}AFTER-DISCONNECT"),
        ],
    ),
    "dcabort": Difference(
        "the text also tells of the data channels", "the text of a WebSocket that broke", CHANGED,
        [*HYBRID, ended("WEBSOCKET_ONERROR", "Failed to read WebSocket: ec=End of file wscode=0 wsreason=")],
    ),
    "dczcloseall": Difference(
        "nothing until disconnect(), which then fails", "PEER_CONNECTION_STATE_FAILED when the channels close",
        "without signaling there is no session: the program should hear of it",
        [START[0], switched("true"), ended("PEER_CONNECTION_STATE_FAILED", "DataChannel was closed by the server")],
    ),
    "badjson": Difference(ABORTS, LIVES, "a server must not be able to end the process", [*START, CLEAN]),
    "notype": Difference(ABORTS, LIVES, "a server must not be able to end the process", [*START, CLEAN]),
    "offernoconn": Difference(
        ABORTS, "INTERNAL_ERROR that names what is missing", "a server must not be able to end the process",
        [ended("INTERNAL_ERROR", 'Invalid message from the server: message "offer": missing field `connection_id`')],
    ),
    "badsdp": Difference(
        "ICE_FAILED in the words of its SDP parser", "ICE_FAILED in the words of ours", "another parser",
        [ended("ICE_FAILED", "Failed to SetOffer in offer message via WebSocket: error=line 2: cannot read")],
    ),
    "pcclose": Difference(
        "nothing within eight seconds", "PEER_CONNECTION_STATE_FAILED after disconnect_wait_timeout",
        "DTLS has said goodbye: no media can come any more",
        [*START, ended("PEER_CONNECTION_STATE_FAILED", "PeerConnectionState::kFailed")],
    ),
    "wss_badcert_file": Difference(
        ABORTS, "WEBSOCKET_HANDSHAKE_FAILED that names the file", "a wrong path is an error like any other",
        [ended("WEBSOCKET_HANDSHAKE_FAILED", f"Failed Websocket handshake: last_ec={LOST_FILE} last_url=URL")],
    ),
    "url_nopath": Difference(
        "the request target is empty and the handshake fails", "connects to /", "RFC 6455 section 3: no path means /",
        [*START, CLEAN],
    ),
    "proxy_ws_ignored": Difference(
        "the proxy is only used for wss", "ws goes through it too", "who names a proxy means it",
        [ended("WEBSOCKET_HANDSHAKE_FAILED", "Failed Websocket handshake: last_ec=Connection refused last_url=URL proxy_url=http://127.0.0.1:9")],
    ),
    "disc_in_notify": Difference(ABORTS, "ends as usual", "disconnect() may be called from a callback", [*START, CLEAN]),
    "connect_twice": Difference(ABORTS, "the second call does nothing", "2025 does nothing either", [*START, CLEAN]),
    "reconnect_after_disc": Difference(ABORTS, "connect() raises RuntimeError", "2025 raises it", None),
    "exc_in_notify": Difference(ABORTS, LIVES, "the exception goes to sys.unraisablehook", [*START, CLEAN]),
    "exc_in_track": Difference(ABORTS, LIVES, "the exception goes to sys.unraisablehook", [*TRACKS, *START, CLEAN]),
    "sysexit_in_notify": Difference(ABORTS, LIVES, "the exception goes to sys.unraisablehook", [*START, CLEAN]),
    "exit_connected_gc": Difference(
        "hangs at exit until it is killed",
        "dropping the last reference disconnects",
        "a connection that nobody holds has nobody to talk to",
        [*START, CLEAN],
    ),
    "h264_nolib": Difference(
        "answers H.264 and sends nothing", "rejects the m-line of video", "what cannot be encoded is not promised",
        [START[0], CLEAN],
    ),
    "h264_recv_nolib": Difference(
        "tells of a video track that shows nothing", "rejects the m-line of video", "what cannot be decoded is not promised",
        [TRACKS[0], START[0], CLEAN],
    ),
}  # fmt: skip
