"""Certificates of the federation: one authority, one certificate per node, with the community inside.

A node's certificate serves both ends of mutual TLS and names its community as a URI (`urn:oid:…`), so that a
connection tells which hospital is at the other end before anything is asked.
Sources: RFC 5280 section 4.2 (extensions), RFC 8705 section 3.1 (x5t#S256), IHE ATNA (ITI-19 node authentication).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from adapters.trust.errors import CertificateUnusable
from adapters.trust.jwk import base64url
from registry.errors import InvalidIdentifier
from registry.identifiers import HomeCommunityId

AUTHORITY_YEARS = 10
NODE_DAYS = 397
# a clock that is a little behind must not refuse a certificate of today
_BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def make_authority(name: str, *, now: datetime, years: int = AUTHORITY_YEARS) -> Credential:
    """A federation authority of its own: it signs nodes' certificates and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key(), now=now, lifetime=timedelta(days=365 * years))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    return _signed(builder, key, own=key)


def issue(
    authority: Credential, home: HomeCommunityId, *, organization: str, hosts: Sequence[str], now: datetime
) -> Credential:
    """A node's certificate for its listeners and its questions; `hosts` are DNS names or IP addresses."""
    alternatives = [_host(host) for host in hosts]
    names = x509.SubjectAlternativeName([*alternatives, x509.UniformResourceIdentifier(str(home))])
    return _issue(authority, _name(organization), names, now=now)


def renew(authority: Credential, certificate: bytes, *, now: datetime) -> Credential:
    """The same node and names, a new key and a new term."""
    old = _load(certificate)
    return _issue(authority, old.subject, _alternatives(old), now=now)


def _issue(
    authority: Credential, subject: x509.Name, names: x509.SubjectAlternativeName, *, now: datetime
) -> Credential:
    issuer, signer = _load(authority.certificate), _signer(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    lifetime = min(timedelta(days=NODE_DAYS), issuer.not_valid_after_utc - now)
    builder = _builder(subject, issuer.subject, key.public_key(), now=now, lifetime=lifetime)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(signs_certificates=False), critical=True)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    builder = builder.add_extension(names, critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    return _signed(builder, signer, own=key)


def home_of(der: bytes) -> HomeCommunityId:
    """The one community that a certificate names; raises CertificateUnusable for none, two or nonsense."""
    try:
        uris = _alternatives(_load(der)).get_values_for_type(x509.UniformResourceIdentifier)
        homes = [HomeCommunityId(uri) for uri in uris if uri.startswith("urn:oid:")]
    except InvalidIdentifier as error:
        raise CertificateUnusable("names a community that is not an OID") from error
    if len(homes) != 1:
        raise CertificateUnusable(f"names {len(homes)} communities, expected one")
    return homes[0]


def thumbprint(der: bytes) -> str:
    """`x5t#S256`: base64url of the SHA-256 over the DER form. Source: RFC 8705 section 3.1."""
    return base64url(hashlib.sha256(der).digest())


def days_left(certificate: bytes, *, now: datetime) -> int:
    """Whole days until it ends, negative once it has ended; PEM or DER."""
    return (_load(certificate).not_valid_after_utc - now).days


def to_der(certificate: bytes) -> bytes:
    """The first certificate of a PEM file, as it stands on the wire."""
    return _load(certificate).public_bytes(Encoding.DER)


def _load(certificate: bytes) -> x509.Certificate:
    try:
        if certificate.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(certificate)
        return x509.load_der_x509_certificate(certificate)
    except ValueError as error:
        raise CertificateUnusable("cannot be read") from error


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError) as error:
        raise CertificateUnusable("has no alternative names that can be read") from error


def _signer(authority: Credential) -> ec.EllipticCurvePrivateKey:
    return cast(ec.EllipticCurvePrivateKey, load_pem_private_key(authority.key, password=None))


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(common_name: str) -> x509.Name:
    # RFC 5280 appendix A: ub-common-name is 64
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, signer: ec.EllipticCurvePrivateKey, *, own: ec.EllipticCurvePrivateKey
) -> Credential:
    certificate = builder.sign(signer, hashes.SHA256())
    return Credential(
        certificate.public_bytes(Encoding.PEM), own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
