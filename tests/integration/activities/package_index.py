"""A package index on this machine with one package, `sample-pkg` 1.0: over HTTP or HTTPS, also with a password."""

from __future__ import annotations

import base64
import contextlib
import datetime
import io
import ipaddress
import ssl
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

WHEEL = "sample_pkg-1.0-py3-none-any.whl"
PAGES = {"/simple/sample-pkg/": f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode()}


@dataclass(frozen=True)
class PackageIndex:
    """`url` without a password. `seen` grows with each request: its target as it was sent, absolute for a proxy."""

    url: str
    seen: list[str] = field(default_factory=list)


@contextlib.contextmanager
def package_index(password: str = "", certificate: Path | None = None) -> Iterator[PackageIndex]:
    """Serve until the block ends. `certificate` is written: who trusts it can connect. The user is "me"."""
    seen: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(password, seen))
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(_self_signed(certificate))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield PackageIndex(f"{scheme}://127.0.0.1:{server.server_port}/simple", seen)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wheel() -> bytes:
    """The package: a module `sample_pkg` and its metadata."""
    content = io.BytesIO()
    info = "sample_pkg-1.0.dist-info"
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("sample_pkg.py", "NAME = 'sample'\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample-pkg\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"sample_pkg.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return content.getvalue()


def _handler(password: str, seen: list[str]) -> type[BaseHTTPRequestHandler]:
    files = {**PAGES, f"/files/{WHEEL}": wheel()}
    expected = f"Basic {base64.b64encode(f'me:{password}'.encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            path = self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path[1:]
            if password and self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()
            elif (body := files.get(f"/{path}")) is None:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Type", "text/html" if path.endswith("/") else "application/zip")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body if self.command == "GET" else b"")

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _self_signed(certificate: Path) -> Path:
    """Write the certificate; the file with it and its key is what this gives back."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "index of a test")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, critical=False)
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    certificate.write_bytes(signed)
    both = certificate.with_suffix(".both")
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both.write_bytes(key.private_bytes(*plain) + signed)
    return both
