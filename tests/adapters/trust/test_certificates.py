"""Certificates of nodes: they name one community and end when they say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from adapters.trust import certificates
from adapters.trust.errors import CertificateUnusable


def test_a_certificate_names_its_hospital(bach_mai):
    assert certificates.home_of(bach_mai.der) == bach_mai.home
    assert certificates.home_of(bach_mai.credential.certificate) == bach_mai.home


def test_a_renewed_certificate_is_the_same_hospital_with_another_key(authority, bach_mai, now):
    later = now + timedelta(days=390)
    renewed = certificates.renew(authority, bach_mai.credential.certificate, now=later)
    assert certificates.home_of(renewed.certificate) == bach_mai.home
    assert certificates.days_left(renewed.certificate, now=later) == certificates.NODE_DAYS
    assert certificates.thumbprint(certificates.to_der(renewed.certificate)) != certificates.thumbprint(bach_mai.der)
    assert renewed.key != bach_mai.credential.key


def test_the_end_of_a_certificate_is_seen_coming(bach_mai, now):
    assert certificates.days_left(bach_mai.der, now=now + timedelta(days=380)) == 17
    assert certificates.days_left(bach_mai.der, now=now + timedelta(days=400)) < 0


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----", b"\x30\x82\xff\xff", b"x" * 1000])
def test_what_is_no_certificate_names_nobody(content):
    with pytest.raises(CertificateUnusable):
        certificates.home_of(content)


def test_a_certificate_without_a_community_names_nobody(authority):
    with pytest.raises(CertificateUnusable):
        certificates.home_of(authority.certificate)
