"""The certificates of a cluster: an authority made for it, and those by which its components and users are known."""

import dataclasses
import datetime
import ipaddress
import pathlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = datetime.timedelta(days=30)
_SLACK = datetime.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: pathlib.Path
    key: pathlib.Path


class Authority:
    """A certificate authority; everything it makes is in its folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject("llmgov-test-ca")
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = _builder(self._name, self._key).issuer_name(self._name)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pair = self._written("ca", builder.add_extension(usage, critical=True), self._key)

    def server(self, name: str, addresses: Sequence[str]) -> Pair:
        """A server's certificate for DNS names and IP addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([_alternative(address) for address in addresses])
        builder = self._signed(_subject(name), key, ExtendedKeyUsageOID.SERVER_AUTH)
        return self._written(name, builder.add_extension(names, critical=False), key)

    def client(self, user: str, groups: Sequence[str] = ()) -> Pair:
        """The certificate by which the API server knows a user and the groups it is in."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._signed(_subject(user, groups), key, ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._written("-".join([user, *groups]).replace(":", "-").replace("/", "-"), builder, key)

    def signing_key(self, name: str) -> pathlib.Path:
        """A private key without a certificate, as ServiceAccount tokens are signed with."""
        path = self._folder / f"{name}.key"
        _write_key(path, ec.generate_private_key(ec.SECP256R1()))
        return path

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey, usage: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        extension = x509.ExtendedKeyUsage([usage])
        return _builder(name, key).issuer_name(self._name).add_extension(extension, critical=False)

    def _written(self, name: str, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> Pair:
        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        certificate = builder.sign(self._key, hashes.SHA256())
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(pair.key, key)
        return pair


def _subject(name: str, groups: Sequence[str] = ()) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + _VALID)
    )


def _alternative(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _write_key(path: pathlib.Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    # Not PKCS#8: the API server reads ServiceAccount keys of elliptic curves in this form alone.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
