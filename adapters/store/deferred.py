"""Questions for a patient that other hospitals answer later, until they did and a while longer."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, select

from adapters.store.codec import dump
from adapters.store.rows import Part, moment, upsert
from adapters.store.schema import deferred_question
from registry.identifiers import HomeCommunityId
from registry.ports import DeferredQuestion

_OF_HOME = deferred_question.c.home == bindparam("home")
_STANDING = deferred_question.c.expires > bindparam("now")
_PUT = select(deferred_question.c.body).where(
    _OF_HOME, deferred_question.c.fingerprint == bindparam("fingerprint"), _STANDING
)
_NAMED = select(deferred_question.c.body).where(
    _OF_HOME, deferred_question.c.question_id == bindparam("question_id"), _STANDING
)
_DROP = delete(deferred_question).where(
    deferred_question.c.home == bindparam("at"), deferred_question.c.question_id == bindparam("named")
)
_FORGET = delete(deferred_question).where(deferred_question.c.expires < bindparam("moment"))


class StoredDeferredQuestions(Part):
    """Implements `registry.ports.DeferredQuestions`."""

    __slots__ = ()

    def keep(self, one: DeferredQuestion) -> None:
        """In the place of an earlier question with the same words."""
        values = {"home": str(one.home), "fingerprint": one.fingerprint, "question_id": one.id}
        values |= {"record_id": one.record_id, "expires": moment(one.expires)}
        upsert(self._connection, deferred_question, {**values, "body": dump(one)})

    def put(self, home: HomeCommunityId, fingerprint: str, *, now: datetime) -> DeferredQuestion | None:
        """The question in these words, while it stands."""
        values = {"home": str(home), "fingerprint": fingerprint, "now": moment(now)}
        return self._noun(DeferredQuestion, _PUT, **values)

    def named(self, question_id: str, *, of: HomeCommunityId, now: datetime) -> DeferredQuestion | None:
        """The question that an answer of this hospital names, while it stands."""
        values = {"home": str(of), "question_id": question_id, "now": moment(now)}
        return self._noun(DeferredQuestion, _NAMED, **values)

    def drop(self, one: DeferredQuestion) -> None:
        self._connection.execute(_DROP, {"at": str(one.home), "named": one.id})

    def forget_before(self, moment_: datetime) -> int:
        return self._connection.execute(_FORGET, {"moment": moment(moment_)}).rowcount
