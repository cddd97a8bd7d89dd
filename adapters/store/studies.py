"""The index of imaging studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import bindparam, select, update

from adapters.store.codec import dump, dump_as, load, load_as
from adapters.store.rows import Listing, Part, Values, any_of, insert_once, moment, once
from adapters.store.schema import study, study_instance
from registry.coded import CodedValue
from registry.errors import DuplicateUniqueId
from registry.manifests import study_key
from registry.searches import StudySearch
from registry.studies import Study

Labels = tuple[CodedValue, ...]

_BY_ID = select(study.c.body).where(study.c.id == bindparam("id"))
_BY_UID = select(study.c.body).where(study.c.study_instance_uid == bindparam("uid"))
_BY_MANIFEST = select(study.c.body).where(study.c.manifest_key == bindparam("key"))
_RECORD_OF = select(study.c.record_id).where(study.c.study_instance_uid == bindparam("uid"))
_AT_ONCE = 500
_HOLDING = select(study_instance.c.sop_instance_uid, study_instance.c.study_id).where(
    any_of(study_instance.c.sop_instance_uid, "uids")
)
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

    def by_manifest_key(self, key: str) -> tuple[Study, ...]:
        """Studies that the id of a manifest may lead to: one, as good as always."""
        return self._nouns(Study, _BY_MANIFEST, key=key)

    def record_of(self, study_instance_uid: str) -> str | None:
        """The record that the study belongs to, without reading the study."""
        row = self._row(_RECORD_OF, uid=study_instance_uid)
        return None if row is None else str(row.record_id)

    def save(self, study_: Study) -> None:
        """Add the study, or replace the one with its id. Raises DuplicateUniqueId for another study's UID."""
        values: Values = {
            "id": study_.id,
            "study_instance_uid": study_.study_instance_uid,
            "manifest_key": study_key(study_.study_instance_uid),
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

    def holds(self, study_id: str, sop_instance_uids: Iterable[str]) -> None:
        """These instances belong to this study from now on. Raises DuplicateUniqueId where one belongs to another."""
        rows = [{"sop_instance_uid": uid, "study_id": study_id} for uid in sop_instance_uids]
        if rows and self._connection.execute(once(study_instance, self._connection.dialect.name), rows).rowcount < len(
            rows
        ):
            raise DuplicateUniqueId(study_id)

    def holding(self, sop_instance_uids: Sequence[str]) -> Mapping[str, str]:
        """The id of the study that each of these instances belongs to; those that are nowhere are left out."""
        found: dict[str, str] = {}
        for start in range(0, len(sop_instance_uids), _AT_ONCE):
            uids = list(sop_instance_uids[start : start + _AT_ONCE])
            rows = self._connection.execute(_HOLDING, {"uids": uids})
            found |= {row.sop_instance_uid: row.study_id for row in rows}
        return found

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
