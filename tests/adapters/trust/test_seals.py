"""Heads of the log of disclosures: nothing can be changed, removed or re-dated behind a seal."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.trust.errors import SealBroken
from adapters.trust.seals import read_head, seal, verify_seal
from consent.merkle import Frontier, leaf_hash

LOG = Frontier().append(leaf_hash(str(row).encode()) for row in range(7))


@pytest.fixture
def sealed(bach_mai, now):
    return seal(bach_mai.keys, LOG, home=bach_mai.home, now=now)


def test_a_seal_proves_size_root_and_time(sealed, bach_mai, now):
    head = verify_seal(sealed, home=bach_mai.home, keys=bach_mai.keys.ever())
    assert (head.size, head.root, head.sealed) == (7, LOG.root.hex(), now)


def test_a_peer_reads_a_head_without_our_rows(sealed, bach_mai):
    assert read_head(sealed.signature, home=bach_mai.home, keys=bach_mai.jwks(bach_mai.home)).root == LOG.root.hex()


def test_a_changed_log_does_not_fit_its_seal(sealed, bach_mai, now):
    other = Frontier().append(leaf_hash(str(row).encode()) for row in (0, 1, 2, 9, 4, 5, 6))
    shorter = Frontier().append(leaf_hash(str(row).encode()) for row in range(6))
    for broken in (
        replace(sealed, frontier=other),
        replace(sealed, frontier=shorter),
        replace(sealed, frontier=shorter, size=6),
        replace(sealed, sealed=now - timedelta(days=1)),
        replace(sealed, signature="a.b.c"),
        replace(sealed, frontier=replace(LOG, roots=LOG.roots[:-1])),
    ):
        with pytest.raises(SealBroken):
            verify_seal(broken, home=bach_mai.home, keys=bach_mai.keys.ever())


def test_a_seal_of_another_hospital_proves_nothing_here(sealed, bac_ninh):
    with pytest.raises(SealBroken):
        verify_seal(sealed, home=bac_ninh.home, keys=bac_ninh.keys.ever())
