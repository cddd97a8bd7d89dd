"""The index of imaging studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sqlalchemy import bindparam, select, update

from adapters.store.codec import dump, dump_as, load, load_as
from adapters.store.rows import Listing, Part, Values, any_of, insert_once, moment
from adapters.store.schema import study
from registry.coded import CodedValue
from registry.errors import DuplicateUniqueId
from registry.searches import StudySearch
from registry.studies import Study

Labels = tuple[CodedValue, ...]

_BY_ID = select(study.c.body).where(study.c.id == bindparam("id"))
_BY_UID = select(study.c.body).where(study.c.study_instance_uid == bindparam("uid"))
_studies = Listing(
    study,
    "started",
    {
        "record_id": study.c.record_id == bindparam("record_id"),
        "ids": any_of(study.c.id, "ids"),
        "study_instance_uids": any_of(study.c.study_instance_uid, "study_instance_uids"),
    },
)


class StoredStudies(Part):
    """Implements `registry.ports.Studies`. A study is one row: series and instances are in its JSON."""

    __slots__ = ()

    def study(self, study_id: str) -> Study | None:
        return self._noun(Study, _BY_ID, id=study_id)

    def by_uid(self, study_instance_uid: str) -> Study | None:
        return self._noun(Study, _BY_UID, uid=study_instance_uid)

    def save(self, study_: Study) -> None:
        """Add the study, or replace the one with its id. Raises DuplicateUniqueId for another study's UID."""
        values: Values = {
            "id": study_.id,
            "study_instance_uid": study_.study_instance_uid,
            "record_id": study_.record_id,
            "started": moment(study_.started),
            "sensitivity": dump_as(Labels, study_.sensitivity),
            "body": dump(study_),
        }
        changed = update(study).where(study.c.id == bindparam("key"), study.c.study_instance_uid == bindparam("uid"))
        keys = {"key": study_.id, "uid": study_.study_instance_uid}
        rest = {name: value for name, value in values.items() if name not in ("id", "study_instance_uid")}
        if self._connection.execute(changed, {**keys, **rest}).rowcount == 1:
            return
        if not insert_once(self._connection, study, values):
            raise DuplicateUniqueId(study_.study_instance_uid)

    def find(self, search: StudySearch) -> Iterator[Study]:
        """Newest first, lazily and without end at `search.limit`: how many are shown is decided by the flow."""
        bodies = _studies.newest_first(
            self._connection,
            _wanted(search),
            record_ids=search.record_ids,
            after=search.after,
            chunk=search.limit,
        )
        return filter(search.accepts, (load(Study, body) for body in bodies))

    def counts(self, search: StudySearch) -> Mapping[Labels, int]:
        """How many studies there are of each sensitivity, wherever a page ended."""
        if search.where:
            return Counter(found.sensitivity for found in self.find(replace(search, after=None)))
        counted = _studies.counts(self._connection, _wanted(search), search.record_ids)
        return {load_as(Labels, labels): count for labels, count in counted.items()}


def _wanted(search: StudySearch) -> Values:
    given = {"ids": search.ids, "study_instance_uids": search.study_instance_uids}
    return {name: list(value) for name, value in given.items() if value is not None}
