"""Every error of the rooms has its status and its words, and a refusal looks like an absence."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from exchange import ask, shown

from adapters.fhir import issues, outcome
from adapters.fhir.check import check
from adapters.peers import errors as peers
from consent import errors as consent
from registry import errors as registry


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for each in kind.__subclasses__():
        yield from below(each)


def rooms() -> list[type[Exception]]:
    trees = (registry.RegistryError, consent.ConsentError, peers.PeerError, issues.FhirError)
    return [kind for tree in trees for kind in below(tree) if kind.__module__ in _MODULES]


_MODULES = {registry.__name__, consent.__name__, peers.__name__, issues.__name__}


@pytest.mark.parametrize("kind", rooms(), ids=lambda kind: kind.__name__)
def test_no_error_is_missing(kind: type[Exception]) -> None:
    status, code = outcome.CODES[kind]
    assert 400 <= status < 600 and issues.Issue("error", code, "x").is_error


@pytest.mark.parametrize("accept", ["application/fhir+json", "application/fhir+xml", "image/png"])
def test_an_error_is_told_in_the_wanted_format_or_in_json(accept: str) -> None:
    answer = outcome.error(registry.StorageUnavailable("the store", "disk full"), ask(accept=accept))
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (503, "30")
    told = shown(answer)
    assert told["issue"][0]["code"] == "transient" and not check(told)


def test_a_refusal_is_the_same_bytes_as_an_absence() -> None:
    bodies = {
        outcome.error(each, ask()).body
        for each in (registry.NotFound("DocumentReference/1"), registry.NotFound("study"), issues.NotFound("x"))
    }
    assert len(bodies) == 1


def test_what_establishes_the_asker_keeps_its_reason() -> None:
    for each in (consent.TokenRefused("signature"), consent.TokenReplayed(), consent.InvalidReceipt("expired")):
        body = outcome.error(each, ask()).body
        assert isinstance(body, bytes)
        assert b"signature" not in body and b"before" not in body and b"expired" not in body


def test_a_fault_of_ours_shows_nothing_of_its_inside() -> None:
    answer = outcome.error(ZeroDivisionError("patient Lan"), ask())
    assert answer.status == 500 and isinstance(answer.body, bytes) and b"Lan" not in answer.body
    head = outcome.error(registry.NotFound("x"), ask("HEAD"))
    assert head.body == b"" and int(dict(head.headers)["Content-Length"]) > 0
