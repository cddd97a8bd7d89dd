"""Reports and images of one examination that did not find each other: a person says which belong together.

Time, modality and region may fit two studies, or none; a guess would put one examination's report to another's images.
What was said is on record with a name, holds against the rules, and can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.changes import change_document
from hie_node.flows.pairing import overtake, with_study, without_study
from hie_node.flows.quarantine import is_merged_into
from hie_node.flows.register import standing
from hie_node.house import House
from registry.documents import DocumentEntry, DocumentStatus
from registry.errors import InvalidValue, NotFound, PatientMismatch
from registry.identifiers import DICOM_UID, PatientIdentifier
from registry.manifests import is_manifest
from registry.pairing import PairDoubt, Verdict, doubt_id
from registry.people import SourceRecord
from registry.performed import is_report_of_images
from registry.searches import DocumentSearch, StudySearch
from registry.studies import Study

BY_A_PERSON = "a person of this hospital put them together"
TAKEN_BACK = "a person of this hospital took its report back"
MOST = 500
MOST_DOUBTS = 50
"""That one look at the queue shows; a study may be a large thing to read."""


@dataclass(frozen=True, slots=True)
class Apart:
    """What of one patient has not found its other half, the newest first."""

    patient: SourceRecord
    studies: tuple[Study, ...]
    reports: tuple[DocumentEntry, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A doubt with both sides of it, and whose they are."""

    doubt: PairDoubt
    study: Study
    report: DocumentEntry
    patient: SourceRecord

    @property
    def is_open(self) -> bool:
        """Whether there is still something to decide: both are without their other half."""
        is_current = self.report.status is DocumentStatus.CURRENT
        return (
            self.doubt.verdict is Verdict.OPEN
            and is_current
            and self.study.report_id is None
            and not _names_a_study(self.report)
        )


def apart(act: Act, patient: PatientIdentifier) -> Apart:
    """Studies without a report, and reports of an examination without images. Raises NotFound."""
    with act.unit() as unit:
        known = unit.patients.record(patient)
        if known is None:
            raise NotFound("patient")
        record = standing(unit, known)
        act.about(record)
        documents = DocumentSearch(record_ids=(record.id,), statuses=(DocumentStatus.CURRENT,), limit=MOST)
        studies = tuple(
            one for one in unit.studies.find(StudySearch(record_ids=(record.id,), limit=MOST)) if one.report_id is None
        )
        reports = tuple(
            one for one in unit.documents.find(documents) if is_report_of_images(one) and not _names_a_study(one)
        )
        act.items += [*(one.id for one in studies), *(one.id for one in reports)]
        return Apart(record, studies, reports)


def open_pairs(act: Act) -> tuple[Pair, ...]:
    """What waits for a registrar, the oldest first. What found its other half meanwhile waits no more."""
    with act.unit() as unit:
        found = []
        for doubt in unit.pairs.waiting(MOST_DOUBTS):
            pair = _pair(unit, doubt)
            if pair is not None and pair.is_open:
                found.append(pair)
            else:
                unit.pairs.save(_said(act, doubt, Verdict.OVERTAKEN))
        act.items = [one.doubt.id for one in found]
        return tuple(found)


def decided_pairs(act: Act, most: int) -> tuple[Pair, ...]:
    """What registrars said last, the newest first."""
    with act.unit() as unit:
        found = [_pair(unit, one) for one in unit.pairs.decided(most)]
        act.items = [one.doubt.id for one in found if one is not None]
        return tuple(one for one in found if one is not None)


def how_many_pairs(house: House) -> int:
    """How many wait; of whom is not told."""
    with house.storage.read() as unit:
        return unit.pairs.how_many_wait()


def read_pair(act: Act, pair_id: str) -> tuple[Pair, tuple[Pair, ...]]:
    """One doubt, open or decided, and the open ones about the same report or the same images. Raises NotFound."""
    with act.unit() as unit:
        pair = _known(unit, pair_id)
        act.about(pair.patient)
        beside = [_pair(unit, one) for one in unit.pairs.beside(pair.doubt)]
        others = tuple(one for one in beside if one is not None and one.is_open)
        act.items = list(dict.fromkeys(id_ for one in (pair, *others) for id_ in (one.study.id, one.report.id)))
        return pair, others


def raise_pair(act: Act, study_id: str, document_id: str) -> PairDoubt:
    """Put two beside each other. Raises NotFound, PatientMismatch, or InvalidValue where one has its other half."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        return _between(act, unit, study_id, document_id).doubt


def put_together(act: Act, study_id: str, document_id: str) -> Study:
    """This is the report of these images. Raises NotFound, PatientMismatch, or InvalidValue where one has another."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        return _joined(act, unit, _between(act, unit, study_id, document_id))


def keep_apart(act: Act, study_id: str, document_id: str) -> None:
    """This is not their report. Raises NotFound, PatientMismatch, or InvalidValue where one has its other half."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        pair = _between(act, unit, study_id, document_id)
        unit.pairs.save(_said(act, pair.doubt, Verdict.APART))


def decide_pair(act: Act, pair_id: str, *, together: bool) -> None:
    """The one word or the other. Raises NotFound where it waits no more: somebody else was quicker."""
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        pair = _known(unit, pair_id)
        if not pair.is_open:
            raise NotFound("open pair")
        act.about(_of_both(unit, pair.study, pair.report))
        act.items = [pair.study.id, pair.report.id]
        if together:
            _joined(act, unit, pair)
        else:
            unit.pairs.save(_said(act, pair.doubt, Verdict.APART))


def undo_pair(act: Act, pair_id: str) -> None:
    """It waits again, whichever way it was decided, and so does what the decision had settled besides.

    Raises NotFound where nothing was decided, or the report was given to other images since.
    """
    act.action, act.direction = "U", "changed"
    with act.unit() as unit:
        pair = _known(unit, pair_id)
        act.about(pair.patient)
        act.items = [pair.study.id, pair.report.id]
        if pair.doubt.verdict not in (Verdict.TOGETHER, Verdict.APART):
            raise NotFound("decided pair")
        if pair.doubt.verdict is Verdict.TOGETHER:
            _separated(act, unit, pair.study)
            _release_others(act, unit, pair.doubt)
        unit.pairs.save(_said(act, pair.doubt, Verdict.OPEN))


def _pair(unit: UnitOfWork, doubt: PairDoubt) -> Pair | None:
    study, report = unit.studies.study(doubt.study_id), unit.documents.entry(doubt.document_id)
    record = unit.patients.record_by_id(doubt.record_id)
    if study is None or report is None or record is None:
        return None
    return Pair(doubt, study, report, standing(unit, record))


def _known(unit: UnitOfWork, pair_id: str) -> Pair:
    doubt = unit.pairs.one(pair_id)
    pair = _pair(unit, doubt) if doubt is not None else None
    if pair is None:
        raise NotFound("pair")
    return pair


def _between(act: Act, unit: UnitOfWork, study_id: str, document_id: str) -> Pair:
    """The open doubt about these two, known or new."""
    study, report = unit.studies.study(study_id), unit.documents.entry(document_id)
    if study is None or report is None or report.status is not DocumentStatus.CURRENT:
        raise NotFound("study or current report")
    record = _of_both(unit, study, report)
    act.about(record)
    act.items = [study.id, report.id]
    if study.report_id is not None:
        raise InvalidValue("study", expected="one without a report")
    if is_manifest(report) or _names_a_study(report):
        raise InvalidValue("report", expected="one that names no study yet")
    known = unit.pairs.one(doubt_id(study.id, report.id))
    doubt = PairDoubt(study.id, report.id, record.id, act.now, act.caller.requester.subject)
    if known is None or known.verdict is not Verdict.OPEN:
        unit.pairs.save(doubt)
    return Pair(known if known and known.verdict is Verdict.OPEN else doubt, study, report, record)


def _joined(act: Act, unit: UnitOfWork, pair: Pair) -> Study:
    study, report = pair.study, pair.report
    paired = with_study(report, study.study_instance_uid)
    change_document(act, unit, replace(paired, version=report.version + 1, updated=act.now))
    study = replace(study, report_id=report.id, pairing=BY_A_PERSON, version=study.version + 1, updated=act.now)
    unit.studies.save(study)
    unit.pairs.save(_said(act, pair.doubt, Verdict.TOGETHER))
    overtake(unit, pair.doubt)
    return study


def _separated(act: Act, unit: UnitOfWork, study: Study) -> None:
    """The images wait again, and so does what is their report now: a correction has taken the place of the first."""
    report = unit.documents.entry(study.report_id) if study.report_id else None
    if report is None:
        raise NotFound("report of these images")
    alone = without_study(report, study.study_instance_uid)
    change_document(act, unit, replace(alone, version=report.version + 1, updated=act.now))
    waits = replace(study, report_id=None, pairing=TAKEN_BACK, version=study.version + 1, updated=act.now)
    unit.studies.save(waits)


def _release_others(act: Act, unit: UnitOfWork, doubt: PairDoubt) -> None:
    for other in unit.pairs.beside(doubt):
        if other.verdict is Verdict.OVERTAKEN:
            unit.pairs.save(_said(act, other, Verdict.OPEN))


def _said(act: Act, doubt: PairDoubt, verdict: Verdict) -> PairDoubt:
    """With who said it; what merely waits, or was settled by something else, is nobody's word."""
    if verdict in (Verdict.OPEN, Verdict.OVERTAKEN):
        return replace(doubt, verdict=verdict, decided=None, decided_by="")
    return replace(doubt, verdict=verdict, decided=act.now, decided_by=act.caller.requester.subject)


def _of_both(unit: UnitOfWork, study: Study, report: DocumentEntry) -> SourceRecord:
    of_study = unit.patients.record_by_id(study.record_id)
    if of_study is None:
        raise NotFound("patient")
    record = standing(unit, of_study)
    if not is_merged_into(unit, report.record_id, record):
        raise PatientMismatch("report", expected="the patient of the images", found="another patient")
    return record


def _names_a_study(report: DocumentEntry) -> bool:
    return any(reference.system == DICOM_UID for reference in report.references)
