"""A report looks for the study that it describes when it is published, and a study for its report when it comes.

What fits equally is left to a person (`hie_node/flows/pairs.py`), and what a person said stands above the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from adapters.store.unit import UnitOfWork
from hie_node.acts import Act
from hie_node.flows.changes import change_document
from hie_node.flows.register import standing
from registry.coded import IMAGING_REPORT
from registry.documents import DocumentEntry, DocumentStatus, RelationKind
from registry.errors import PatientMismatch
from registry.examinations import by_service_code
from registry.identifiers import DICOM_UID, PatientIdentifier
from registry.manifests import is_manifest
from registry.pairing import PairDoubt, Pairing, ReportFacts, Verdict, pair, parse_examination
from registry.searches import DocumentSearch, StudySearch
from registry.studies import Study
from registry.submissions import SubmittedDocument


def find_its_study(
    act: Act, unit: UnitOfWork, entry: DocumentEntry, document: SubmittedDocument
) -> tuple[DocumentEntry, str]:
    """A report looks for the study that it describes, among those of the same patient that have none yet."""
    if entry.on_demand:
        return entry, ""
    if is_manifest(entry):
        _refuse_other_study(unit, entry)
        return entry, ""
    facts = report_facts(entry, document)
    if facts is None:
        return entry, ""
    studies = list(unit.studies.find(StudySearch(record_ids=(entry.record_id,), limit=1000)))
    replaced = {relation.target for relation in entry.relations if relation.kind is RelationKind.REPLACES}
    kept_apart = _kept_apart(unit, entry, replaced)
    free = [s for s in studies if (not s.report_id or s.report_id in replaced) and s.id not in kept_apart]
    found = pair(facts, free)
    examination = facts.examination.key if facts.examination else entry.examination
    entry = replace(entry, examination=examination)
    study = next((s for s in studies if s.id == found.study_id), None)
    if study is None and (mine := next((s for s in free if s.report_id in replaced), None)):
        # a correction is of the same images, however the first was put to them
        study, found = mine, Pairing(mine.id, "its report was replaced")
    if study is None:
        for unclear in found.unclear:
            unit.pairs.raise_doubt(PairDoubt(unclear, entry.id, entry.record_id, act.now))
        return _beside_the_report(entry, facts, studies, found.reason)
    unit.studies.save(replace(study, report_id=entry.id, pairing=found.reason, version=study.version + 1))
    overtake(unit, PairDoubt(study.id, entry.id, entry.record_id, act.now))
    return with_study(entry, study.study_instance_uid), ""


def _kept_apart(unit: UnitOfWork, entry: DocumentEntry, replaced: Collection[str]) -> frozenset[str]:
    """The studies that a person said the report is not of; a correction of it is not of them either."""
    said = unit.pairs.apart_of_reports(replaced) if replaced else ()
    for one in said:
        unit.pairs.raise_doubt(replace(one, document_id=entry.id))
    return frozenset(one.study_id for one in said)


def _refuse_other_study(unit: UnitOfWork, manifest: DocumentEntry) -> None:
    """A manifest lists the studies of its own patient; one that is not here yet is nobody's."""
    for reference in manifest.references:
        uid = reference.value.removeprefix("urn:oid:")
        study = unit.studies.by_uid(uid) if reference.system == DICOM_UID else None
        owner = unit.patients.record_by_id(study.record_id) if study else None
        if owner is not None and standing(unit, owner).id != manifest.record_id:
            raise PatientMismatch("manifest", expected="the patient of the study that it lists", found="another one")


def _beside_the_report(
    entry: DocumentEntry, facts: ReportFacts, studies: Sequence[Study], reason: str
) -> tuple[DocumentEntry, str]:
    """A second document of a study that has its report, the same as a PDF say, refers to the study as well."""
    named = pair(replace(facts, examination=None), [s for s in studies if s.report_id])
    study = next((s for s in studies if s.id == named.study_id), None)
    if study is None:
        return entry, f"report without its study: {reason}"
    return with_study(entry, study.study_instance_uid), ""


def overtake(unit: UnitOfWork, joined: PairDoubt) -> None:
    """These two are together: nobody needs to be asked any more about either of them."""
    itself = unit.pairs.one(joined.id)
    for doubt in (*unit.pairs.beside(joined), *([itself] if itself else [])):
        if doubt.verdict is Verdict.OPEN:
            unit.pairs.save(replace(doubt, verdict=Verdict.OVERTAKEN))


def with_study(entry: DocumentEntry, study_instance_uid: str) -> DocumentEntry:
    """The report with a reference to its study."""
    reference = PatientIdentifier(DICOM_UID, f"urn:oid:{study_instance_uid}")
    if reference in entry.references:
        return entry
    return replace(entry, references=(*entry.references, reference))


def without_study(entry: DocumentEntry, study_instance_uid: str) -> DocumentEntry:
    """The report without its reference to this study."""
    reference = PatientIdentifier(DICOM_UID, f"urn:oid:{study_instance_uid}")
    return replace(entry, references=tuple(one for one in entry.references if one != reference))


def report_facts(entry: DocumentEntry, document: SubmittedDocument) -> ReportFacts | None:
    """What an imaging report tells about its examination; None for any other document."""
    services = [service for code in document.codes if (service := by_service_code(code.code))]
    uid = next((r.value.removeprefix("urn:oid:") for r in entry.references if r.system == DICOM_UID), None)
    accession = next((r.value for r in entry.references if r.system != DICOM_UID), None)
    is_imaging = services or any(c.code == IMAGING_REPORT.code for c in entry.categories)
    if not is_imaging and not uid:
        return None
    examination = services[0].examination if services else parse_examination(entry.examination)
    return ReportFacts(examination, entry.start, accession, uid)


def find_its_report(act: Act, unit: UnitOfWork, study: Study) -> tuple[Study, tuple[str, ...]]:
    """A study looks for the report that was published before it."""
    if study.report_id is not None:
        return study, ()
    search = DocumentSearch(record_ids=(study.record_id,), statuses=(DocumentStatus.CURRENT,), limit=1000)
    candidates = [(entry, pair(_facts(entry), [study])) for entry in unit.documents.find(search) if _waits(entry)]
    kept_apart = unit.pairs.reports_apart_from(study.id) if candidates else ()
    candidates = [(entry, found) for entry, found in candidates if entry.id not in kept_apart]
    fitting = [(entry, found) for entry, found in candidates if found.study_id]
    if len(fitting) != 1:
        for entry, found in candidates:
            if found.study_id or found.unclear:
                unit.pairs.raise_doubt(PairDoubt(study.id, entry.id, study.record_id, act.now))
        reason = "no report of this examination is here yet" if not fitting else "several reports fit"
        return replace(study, pairing=reason), (f"study without its report: {reason}",) if fitting else ()
    entry, found = fitting[0]
    overtake(unit, PairDoubt(study.id, entry.id, study.record_id, act.now))
    paired = with_study(entry, study.study_instance_uid)
    change_document(act, unit, replace(paired, version=entry.version + 1, updated=act.now))
    return replace(study, report_id=entry.id, pairing=found.reason), ()


def _waits(entry: DocumentEntry) -> bool:
    """An imaging report whose images are not here yet."""
    is_imaging = bool(entry.examination) or any(each.code == IMAGING_REPORT.code for each in entry.categories)
    return is_imaging and not is_manifest(entry) and not any(one.system == DICOM_UID for one in entry.references)


def _facts(entry: DocumentEntry) -> ReportFacts:
    accession = next((r.value for r in entry.references if r.system != DICOM_UID), None)
    return ReportFacts(parse_examination(entry.examination), entry.start, accession)
