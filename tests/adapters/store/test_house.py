"""Jobs and the people of the house, on each kind of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.store.people import Client, User
from adapters.store.unit import Storage
from consent.requesters import PurposeOfUse, Role
from registry.errors import NotFound, VersionConflict
from registry.identifiers import HomeCommunityId
from registry.people import PatientInQuestion
from registry.ports import RemoteEntry
from tests.adapters.store.samples import LATER, NOW

LEASE = 60


def claimed(storage: Storage, *, after: timedelta = timedelta(0), limit: int = 9) -> list[tuple[object, int]]:
    with storage.begin() as unit:
        jobs = unit.jobs.claim(["seal"], now=NOW + after, lease_seconds=LEASE, limit=limit)
    return [(job.payload.get("n"), job.attempts) for job in jobs]


def is_due(storage: Storage) -> bool:
    with storage.read() as unit:
        assert not unit.jobs.is_due("another kind", NOW)
        return unit.jobs.is_due("seal", NOW)


def test_a_job_is_claimed_by_one_worker_when_it_is_due(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 2}, run_at=NOW)
        unit.jobs.enqueue("seal", {"n": 1}, run_at=NOW - timedelta(seconds=1))
        unit.jobs.enqueue("seal", {"n": 3}, run_at=LATER)
        unit.jobs.enqueue("notice", {"n": 4}, run_at=NOW)
    assert is_due(storage)
    assert claimed(storage, limit=1) == [(1, 1)]
    assert is_due(storage)
    assert claimed(storage) == [(2, 1)]
    assert claimed(storage) == []
    assert not is_due(storage)


def test_a_job_of_a_killed_worker_is_claimed_again_when_its_lease_ended(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 1}, run_at=NOW)
    assert claimed(storage) == [(1, 1)]
    assert claimed(storage, after=timedelta(seconds=LEASE - 1)) == []
    assert claimed(storage, after=timedelta(seconds=LEASE)) == [(1, 2)]


def test_a_failed_job_comes_back_at_its_time_and_a_done_one_never(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 1}, run_at=NOW)
        (job,) = unit.jobs.claim(["seal"], now=NOW, lease_seconds=LEASE, limit=1)
        unit.jobs.failed(job.id, "peer-silent", LATER)
    assert claimed(storage) == []
    assert claimed(storage, after=timedelta(hours=1)) == [(1, 2)]
    with storage.begin() as unit:
        unit.jobs.done(job.id)
        assert unit.jobs.waiting() == 0


def test_a_job_that_waits_already_is_not_queued_twice(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 1}, run_at=LATER, dedup_key="seal")
        unit.jobs.enqueue("seal", {"n": 2}, run_at=NOW, dedup_key="seal")
        unit.jobs.enqueue("seal", {"n": 3}, run_at=LATER, dedup_key="seal")
    assert claimed(storage) == [(3, 1)]


def test_what_is_asked_for_while_the_job_runs_is_done_afterwards(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 1}, run_at=NOW, dedup_key="seal")
        (job,) = unit.jobs.claim(["seal"], now=NOW, lease_seconds=LEASE, limit=1)
        unit.jobs.enqueue("seal", {"n": 2}, run_at=NOW, dedup_key="seal")
        assert unit.jobs.claim(["seal"], now=NOW, lease_seconds=LEASE, limit=1) == []
        unit.jobs.done(job.id)
    assert claimed(storage) == [(2, 1)]
    with storage.begin() as unit:
        unit.jobs.done(job.id)
        assert unit.jobs.waiting() == 0


def test_a_login_is_added_once_changed_on_purpose_and_disabled(storage: Storage) -> None:
    lan = User("bs.lan", "$argon2id$v=19$…", Role.DOCTOR, "BS Lan")
    with storage.begin() as unit:
        unit.people_of_the_house.add_user(lan)
        with pytest.raises(VersionConflict):
            unit.people_of_the_house.add_user(replace(lan, role=Role.ADMINISTRATOR))
        assert unit.people_of_the_house.user("bs.lan") == lan
        unit.people_of_the_house.add_user(replace(lan, name="BS Nguyễn Lan"), replace=True)
        unit.people_of_the_house.disable_user("bs.lan")
        assert unit.people_of_the_house.users() == (replace(lan, name="BS Nguyễn Lan", disabled=True),)
        unit.people_of_the_house.enable_user("bs.lan")
        assert unit.people_of_the_house.users() == (replace(lan, name="BS Nguyễn Lan"),)
        for change in (unit.people_of_the_house.disable_user, unit.people_of_the_house.enable_user):
            with pytest.raises(NotFound):
                change("nobody")
    assert "argon2" not in repr(lan)


def test_a_system_is_known_by_its_keys(storage: Storage) -> None:
    his = Client("his", {"keys": [{"kty": "EC"}]}, ("system/*.rs",), Role.SYSTEM, (PurposeOfUse.TREAT,))
    with storage.begin() as unit:
        unit.people_of_the_house.add_client(his)
        assert unit.people_of_the_house.client("his") == his
        assert unit.people_of_the_house.client("pacs") is None
        unit.people_of_the_house.disable_client("his")
        assert unit.people_of_the_house.clients() == (replace(his, disabled=True),)
        unit.people_of_the_house.enable_client("his")
        assert unit.people_of_the_house.clients() == (his,)


def test_a_job_that_fails_again_and_again_waits_each_time(storage: Storage) -> None:
    """The same statement with a NULL in it, also once it is prepared."""
    with storage.begin() as unit:
        unit.jobs.enqueue("seal", {"n": 1}, run_at=NOW)
    for tried in range(1, 5):
        with storage.begin() as unit:
            (job,) = unit.jobs.claim(["seal"], now=NOW, lease_seconds=LEASE, limit=9)
            assert job.attempts == tried
            unit.jobs.failed(job.id, "silent", NOW)


def test_a_query_in_parts_is_its_askers_until_its_time_is_over(storage: Storage) -> None:
    with storage.begin() as unit:
        unit.open_queries.keep("his", "q1", "first", expires=LATER)
        unit.open_queries.keep("his", "q1", "second", expires=LATER)
        assert unit.open_queries.find("his", "q1") == "second"
        assert unit.open_queries.find("pacs", "q1") is None
        assert (unit.open_queries.end("pacs", "q1"), unit.open_queries.end("his", "q1")) == (False, True)
        unit.open_queries.keep("his", "q2", "third", expires=NOW)
        assert unit.open_queries.forget_before(LATER) == 1
        assert unit.open_queries.find("his", "q2") is None


def test_a_document_of_another_hospital_is_found_by_each_of_its_names(storage: Storage) -> None:
    known = RemoteEntry(
        "27001.1", "document", HomeCommunityId("urn:oid:2.25.1"), "1", PatientInQuestion(), None, None, None, None, NOW,
        unique_id="urn:oid:2.25.7", entry_uuid="urn:uuid:00000000-0000-4000-8000-000000000007",
    )  # fmt: skip
    with storage.begin() as unit:
        unit.remote.remember([known])
        for name in (known.unique_id, known.entry_uuid):
            assert unit.remote.of_document(name or "") == (known,)
        assert unit.remote.of_document("urn:oid:2.25.8") == ()
