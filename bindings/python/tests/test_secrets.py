"""Nothing that opens a door is in a log, however verbose."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SECRETS = {
    "token in metadata": "S3CRET-metadata", "token in the URL": "S3CRET-query", "user in the URL": "S3CRET-userinfo",
    "proxy password": "S3CRET-proxy", "TURN password": "S3CRET-turn", "notify metadata": "S3CRET-notify",
    "private key": "S3CRET-key",
}  # fmt: skip
ICE_SERVERS = [
    {"urls": ["turn:127.0.0.1:9?transport=tcp", "turn:127.0.0.1:9"], "username": "u", "credential": "S3CRET-turn"}
]

SCRIPT = """
import sys, threading
import sora_sdk
from sora_sdk import Sora, SoraLoggingSeverity

sora_sdk.enable_libwebrtc_log(SoraLoggingSeverity.VERBOSE)
url, refusing = sys.argv[1:]
common = dict(
    role="sendrecv", channel_id="secrets", metadata={"access_token": "S3CRET-metadata"},
    signaling_notify_metadata={"x": "S3CRET-notify"}, data_channel_signaling=True, ignore_disconnect_websocket=True,
    client_key=b"-----BEGIN S3CRET-key", client_cert=b"-----BEGIN x",
)
for urls, proxy in (
    ([url.replace("//", "//u:S3CRET-userinfo@") + "?token=S3CRET-query"], {}),
    ([refusing + "?token=S3CRET-query"], {}),
    ([url], {"proxy_url": refusing.replace("ws:", "http:").split("/s")[0], "proxy_password": "S3CRET-proxy"}),
):
    switched, ended = threading.Event(), threading.Event()
    connection = Sora().create_connection(signaling_urls=urls, **common, **proxy)
    connection.on_switched = lambda text: switched.set()
    connection.on_disconnect = lambda code, text: (ended.set(), switched.set())
    connection.connect()
    assert switched.wait(15)
    repr(connection), str(connection)
    connection.disconnect()
    assert ended.wait(15)
print("done")
"""


def test_no_log_shows_a_secret() -> None:
    environment = {**os.environ, "SORA_LOG": "trace"}
    server = subprocess.Popen(
        [os.environ["SORA_DEVSERVER"], "--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0", "--ice-servers",
         json.dumps(ICE_SERVERS)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["signaling_url"]
    client = subprocess.run(
        [sys.executable, "-c", SCRIPT, url, "ws://127.0.0.1:9/signaling"], capture_output=True, text=True, timeout=50
    )
    server.terminate()
    _, server_log = server.communicate(timeout=15)
    assert client.returncode == 0 and client.stdout.strip() == "done", client.stderr[-2000:]
    assert "signaling connected" in client.stderr and "secrets" in server_log, "the logs are not verbose"
    for where, log in (("client", client.stderr), ("server", server_log)):
        shown = [what for what, secret in SECRETS.items() if secret in log]
        assert not shown, f"the {where}'s log shows: {shown}"
