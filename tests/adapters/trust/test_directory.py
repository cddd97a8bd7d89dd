"""The list of peers: who signed it, how old it is, and what happens when somebody meddles with it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.trust.directory import (
    LiveDirectory,
    add_signature,
    load,
    read_entry,
    sign_list,
    write_by_hand,
    write_root,
)
from adapters.trust.errors import DirectoryRefused
from adapters.trust.keys import make_signing_key
from registry.answers import Community
from registry.directory import Directory, Peer, PeerState
from registry.errors import InvalidValue
from registry.identifiers import FacilityCode, HomeCommunityId

SIGNERS = tuple(make_signing_key() for _ in range(3))


def peer(number, **changed):
    community = Community(
        HomeCommunityId(f"urn:oid:1.2.3.{number}"), FacilityCode(f"01{number:03}"), f"Bệnh viện {number}"
    )
    known = {"community": community, "peer_url": f"https://node{number}.example:8444", "jwks": (SIGNERS[0].public,)}
    return Peer(**(known | changed))


@pytest.fixture
def folder(tmp_path):
    write_root(tmp_path, [signer.public for signer in SIGNERS], threshold=2)
    return tmp_path


@pytest.fixture
def publish(folder, now):
    def publish(*peers, version=1, signers=SIGNERS[:2], expires=now + timedelta(days=60)):
        content = sign_list(peers, version=version, expires=expires, signers=signers)
        (folder / "directory.json").write_bytes(content)
        return json.loads(content)

    return publish


def refused(folder, now):
    with pytest.raises(DirectoryRefused) as caught:
        load(folder, now=now)
    return caught.value.reason


def test_a_list_signed_by_enough_signers_is_followed(folder, publish, now):
    publish(peer(1), peer(2, state=PeerState.SUSPENDED))
    found = load(folder, now=now)
    assert found.peers == (peer(1), peer(2, state=PeerState.SUSPENDED))
    assert found.at(FacilityCode("01001")) == found.peer(peer(1).home) == peer(1)
    assert found.active == (peer(1),)
    assert found.keys_of(peer(2).home) == () != found.keys_of(peer(1).home)


def test_signers_may_sign_one_after_the_other(folder, publish, now):
    publish(peer(1), signers=SIGNERS[:1])
    assert refused(folder, now) == "1 signatures, 2 are needed"
    path = folder / "directory.json"
    path.write_bytes(add_signature(path.read_bytes(), SIGNERS[2]))
    assert load(folder, now=now).peers == (peer(1),)


def test_an_older_list_is_never_followed_again_not_even_after_a_restart(folder, publish, now):
    publish(peer(1), version=7)
    load(folder, now=now)
    publish(peer(1), peer(2), version=6)
    assert refused(folder, now) == "version 6 is older than 7"


def test_a_list_whose_term_has_ended_is_not_followed(folder, publish, now):
    publish(peer(1), expires=now)
    assert refused(folder, now) == "its term has ended"


def test_signatures_that_do_not_count_are_refused(folder, publish, now):
    document = publish(peer(1))
    first, second = document["signatures"]
    stranger = json.loads(sign_list([peer(1)], version=1, expires=now, signers=[make_signing_key()]))["signatures"][0]
    cases = {
        "one signer signed twice": [first, first],
        "a signer is unknown": [first, stranger],
        "a signature does not hold": [first, second | {"sig": first["sig"]}],
        "0 signatures, 2 are needed": [],
        "no signatures": "none",
    }
    for reason, signatures in cases.items():
        (folder / "directory.json").write_text(json.dumps(document | {"signatures": signatures}))
        assert refused(folder, now) == reason


def test_an_entry_changed_on_the_way_is_refused(folder, publish, now):
    document = publish(peer(1))
    document["signed"]["peers"][0]["peer_url"] = "https://evil.example"
    (folder / "directory.json").write_text(json.dumps(document))
    assert refused(folder, now) == "a signature does not hold"


def test_one_key_under_two_names_is_one_signer(folder, publish, now):
    write_root(folder, [SIGNERS[0].public, {**SIGNERS[0].public, "kid": "again"}], threshold=2)
    publish(peer(1))
    assert refused(folder, now) == "the threshold of the root file cannot be met"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"signed":1}', b'{"signed":{},"signed":{}}', b"[" * 100_000, b"\xff"]
)
def test_a_list_that_is_none_is_refused(folder, now, content):
    (folder / "directory.json").write_bytes(content)
    refused(folder, now)


def test_hospitals_stand_once_in_the_list(folder, publish, now):
    publish(peer(1), replace(peer(1), community=replace(peer(1).community, facility=FacilityCode("01009"))))
    assert "homeCommunityId" in refused(folder, now)
    publish(peer(1), replace(peer(2), community=replace(peer(2).community, facility=FacilityCode("01001"))))
    assert "facility code" in refused(folder, now)


def test_the_operator_keeps_peers_by_hand(folder, publish, now):
    publish(peer(1), peer(2, state=PeerState.EXPELLED))
    here = peer(1, peer_url="https://10.0.0.7:8444", state=PeerState.SUSPENDED)
    write_by_hand(folder, [here, peer(2), peer(3)])
    found = load(folder, now=now)
    assert found.peer(here.home) == here
    assert found.peer(peer(3).home) == peer(3)
    assert found.peer(peer(2).home).state is PeerState.EXPELLED


def test_a_hand_kept_list_that_others_can_write_is_refused(folder, now):
    write_by_hand(folder, [peer(1)])
    (folder / "peers.json").chmod(0o666)
    assert refused(folder, now) == "peers.json can be written by others"


def test_a_restriction_that_is_not_understood_is_not_dropped(folder, now):
    write_by_hand(folder, [peer(1)])
    document = json.loads((folder / "peers.json").read_text())
    document["peers"][0]["only_on_sundays"] = True
    (folder / "peers.json").write_text(json.dumps(document))
    assert "entry 1" in refused(folder, now)


def test_a_running_node_follows_a_new_list_and_keeps_the_old_one_when_it_is_bad(folder, publish, now):
    clock = [now]
    live = LiveDirectory(folder, clock=lambda: clock[0])
    assert live.current().peers == ()
    publish(peer(1), version=2)
    assert live.current().peers == (peer(1),)
    publish(peer(2), version=1)
    assert live.current().peers == (peer(1),)
    assert "older" in live.warnings()[0]
    publish(peer(2), version=3)
    assert (live.current().peers, live.warnings()) == ((peer(2),), ())
    clock[0] = now + timedelta(days=40)
    assert live.warnings() == ("the directory of peers ends in 20 days",)
    write_by_hand(folder, [peer(5)])
    clock[0] = now + timedelta(days=60)
    assert live.current().peers == (peer(5),)
    assert "ended" in live.warnings()[0]


@pytest.mark.parametrize(
    "url",
    [
        "http://node.example",
        "https://",
        "https://user@node.example",
        "https://node.example/",
        "https://node.example?x=1",
        "https://node.example?",
        "https://node.example#x",
        "https://node.example:0",
        "https://node.example:99999",
        "https://169.254.169.254",
        "https://[fe80::1]",
        "https://[::ffff:169.254.169.254]",
        "https://0.0.0.0",
        "https://224.0.0.1",
        "https://2130706433",
        "https://127.1",
        "https://0x7f.1",
        "https://node..example",
        "https://nodé.example",
        "https://node example",
        "file:///etc/passwd",
        "https://[::1",
        "https://node.example\\@evil",
    ],
)
def test_an_address_that_is_no_hospitals_is_refused(url):
    with pytest.raises(InvalidValue):
        peer(1, peer_url=url)


def test_addresses_of_hospitals_are_accepted():
    for url in (
        "https://hie.bachmai.gov.vn",
        "https://10.1.2.3:8444/hie",
        "https://[fd00::7]:8444",
        "https://127.0.0.1:1",
    ):
        assert Directory(1, None, (peer(1, peer_url=url),)).active


def test_who_answers_later_is_listed_so_and_nothing_but_yes_or_no_is_understood(folder, publish, now):
    later = peer(1, speaks=frozenset({"fhir", "xca"}), defers=True)
    content = publish(later, peer(2))
    assert load(folder, now=now).peers == (later, peer(2))
    assert [one.get("defers") for one in content["signed"]["peers"]] == [True, None]
    for wrong in ("no", 2, None, []):
        entry = {**content["signed"]["peers"][0], "defers": wrong}
        with pytest.raises(DirectoryRefused):
            read_entry(entry)
    with pytest.raises(InvalidValue):
        peer(1, speaks=frozenset({"fhir"}), defers=True)
