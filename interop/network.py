"""What stands between a client and a server in real networks: certificates, a TURN server, an HTTP proxy."""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from child import Child

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its key, as objects and as PEM files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    cert_path: Path
    key_path: Path


class Authority:
    """A certificate authority of a test's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pair = self._issue("ca", [], ca=True)
        self.path = self.pair.cert_path

    def _issue(
        self,
        name: str,
        hosts: list[str],
        *,
        ca: bool = False,
        signed: bool = True,
        age_days: int = 1,
        client: bool = False,
    ) -> KeyPair:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        parent = None if ca or not signed else self.pair
        begin = datetime.datetime.now(datetime.UTC) - age_days * DAY
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False
            )
        certificate = builder.sign(parent.key if parent else key, hashes.SHA256())
        cert_path, key_path = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        cert_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return KeyPair(certificate, key, cert_path, key_path)

    def server(self, name: str, hosts: list[str]) -> KeyPair:
        """A server certificate for these host names and addresses."""
        return self._issue(name, hosts)

    def expired(self, name: str, hosts: list[str]) -> KeyPair:
        """One that was good until a month ago."""
        return self._issue(name, hosts, age_days=60)

    def self_signed(self, name: str, hosts: list[str]) -> KeyPair:
        """One that nobody vouches for."""
        return self._issue(name, hosts, signed=False)

    def client(self, name: str) -> KeyPair:
        """A client certificate."""
        return self._issue(name, [], client=True)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port nobody listens on now, for programs that cannot choose one themselves."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class TurnServer:
    """A running coturn."""

    child: Child
    port: int
    tls_port: int
    username: str = "turn-user"
    password: str = "turn-password"

    def ice_server(self, transport: str, host: str = "127.0.0.1") -> dict[str, object]:
        """The RTCIceServer for udp, tcp or tls."""
        url = {
            "udp": f"turn:{host}:{self.port}?transport=udp",
            "tcp": f"turn:{host}:{self.port}?transport=tcp",
            "tls": f"turns:{host}:{self.tls_port}?transport=tcp",
        }[transport]
        return {"urls": [url], "username": self.username, "credential": self.password}


def start_coturn(binary: str, folder: Path, pair: KeyPair) -> TurnServer:
    """coturn on loopback with long-term credentials; ends with its child."""
    port, tls_port = free_port(), free_port()
    low = free_port(socket.SOCK_DGRAM)
    server = TurnServer(
        Child(
            [
                binary, "-n", "--no-cli", "--allow-loopback-peers", "--listening-ip=127.0.0.1", "--listening-ip=::1",
                "--relay-ip=127.0.0.1",
                f"--listening-port={port}", f"--tls-listening-port={tls_port}", f"--min-port={min(low, 65000)}",
                "--max-port=65535", "--lt-cred-mech", f"--user={TurnServer.username}:{TurnServer.password}",
                "--realm=test", f"--cert={pair.cert_path}", f"--pkey={pair.key_path}", "--no-dtls", "--verbose",
                "--log-file=stdout", "--simple-log", f"--pidfile={folder / 'turn.pid'}",
                f"--userdb={folder / 'turn.db'}", "--no-multicast-peers",
            ]
        ),
        port,
        tls_port,
    )  # fmt: skip
    server.child.line(lambda line: "TLS listener opened on" in line or "TLS/TCP listener opened" in line, 15)
    return server


@dataclass(frozen=True)
class HttpProxy:
    """A running tinyproxy with Basic authentication."""

    child: Child
    port: int
    log: Path
    username: str = "proxy-user"
    password: str = "proxy-password"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def tunnels(self) -> list[str]:
        """The targets of all tunnels so far."""
        return re.findall(r": CONNECT (\S+) HTTP/", self.log.read_text(errors="replace"))


def start_tinyproxy(binary: str, folder: Path) -> HttpProxy:
    """tinyproxy on loopback; ends with its child."""
    port, log, config = free_port(), folder / "proxy.log", folder / "proxy.conf"
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nAllow 127.0.0.1\nLogLevel Info\n"
        f'LogFile "{log}"\nPidFile "{folder / "proxy.pid"}"\n'
        f"BasicAuth {HttpProxy.username} {HttpProxy.password}\n"
    )
    child = Child([binary, "-d", "-c", str(config)])
    _wait_for_port(child, port)
    return HttpProxy(child, port, log)


def _wait_for_port(child: Child, port: int) -> None:
    """tinyproxy says nothing on standard output: connecting is the only sign that it listens."""
    end = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise AssertionError(f"{error}\n{child.story()}") from None
            time.sleep(0.02)
