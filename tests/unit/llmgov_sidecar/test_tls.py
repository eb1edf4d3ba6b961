"""The calling side over TLS: certificates are verified, and connections used again all the same."""

import asyncio
import contextlib
import datetime
import ipaddress
import pathlib
import ssl
from collections.abc import AsyncIterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from llmgov_sidecar import upstream
from tests.unit.llmgov_sidecar import harness

MESSAGE = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"


def certificate(folder: pathlib.Path, address: str) -> tuple[pathlib.Path, pathlib.Path]:
    """A self-signed certificate for an address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, form, plain = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    private.write_bytes(key.private_bytes(encoding, form, plain))
    return public, private


class Secure:
    """A provider that speaks TLS and answers everything alike."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(harness.whole(b"hello"))
        writer.transport.abort()

    @contextlib.asynccontextmanager
    async def running(self, public: pathlib.Path, private: pathlib.Path) -> AsyncIterator[upstream.Origin]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(public, private)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield upstream.origin(f"https://127.0.0.1:{self.port}")
        finally:
            server.close()
            await asyncio.sleep(0.05)


def test_a_trusted_provider_is_asked_again_on_the_same_connection(tmp_path: pathlib.Path) -> None:
    public, private = certificate(tmp_path, "127.0.0.1")

    async def main() -> None:
        provider = Secure()
        async with provider.running(public, private) as to:
            pool = upstream.Pool(upstream.Times(), ssl.create_default_context(cafile=str(public)))
            pool.start()
            for _ in range(4):
                connection = await pool.connect(to)
                assert (await connection.ask("POST", MESSAGE)).status == 200
                body = b""
                while piece := await connection.read():
                    body += piece
                assert body == b"hello"
                pool.release(to, connection)
            assert provider.connections == 1
            pool.close()

    harness.run(main())


@pytest.mark.parametrize(
    ("address", "trusted"), [("127.0.0.1", False), ("127.0.0.9", True)], ids=["an unknown signer", "another name"]
)
def test_a_provider_that_cannot_prove_itself_is_sent_nothing(
    tmp_path: pathlib.Path, address: str, trusted: bool
) -> None:
    public, private = certificate(tmp_path, address)

    async def main() -> None:
        provider = Secure()
        async with provider.running(public, private) as to:
            pool = upstream.Pool(upstream.Times(), ssl.create_default_context(cafile=str(public)) if trusted else None)
            with pytest.raises(upstream.UpstreamError) as failed:
                await pool.connect(to)
            assert failed.value.cause is upstream.Cause.CONNECT
            assert "certificate" in failed.value.words
            pool.close()

    harness.run(main())
