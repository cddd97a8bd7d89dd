"""Two hospitals of an invented network, with real keys and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.trust import certificates
from adapters.trust.certificates import Credential
from adapters.trust.keys import SigningKeys
from registry.identifiers import HomeCommunityId

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Hospital:
    home: HomeCommunityId
    keys: SigningKeys
    credential: Credential

    @property
    def der(self) -> bytes:
        return certificates.to_der(self.credential.certificate)

    def jwks(self, asked: HomeCommunityId) -> list[dict[str, str]]:
        """As a directory in which only this hospital stands."""
        return self.keys.jwks(now=NOW)["keys"] if asked == self.home else []


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def authority() -> Credential:
    return certificates.make_authority("Federation of tests", now=NOW)


def _hospital(authority: Credential, folder: Path, oid: str) -> Hospital:
    home = HomeCommunityId(f"urn:oid:{oid}")
    credential = certificates.issue(authority, home, organization=oid, hosts=["localhost", "127.0.0.1"], now=NOW)
    return Hospital(home, SigningKeys.create(folder), credential)


@pytest.fixture(scope="session")
def bach_mai(authority: Credential, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return _hospital(authority, tmp_path_factory.mktemp("bach-mai"), "1.2.840.99999.1")


@pytest.fixture(scope="session")
def bac_ninh(authority: Credential, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return _hospital(authority, tmp_path_factory.mktemp("bac-ninh"), "1.2.840.99999.2")
