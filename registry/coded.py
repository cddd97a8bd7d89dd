"""A code with the system that gives it meaning."""

from __future__ import annotations

from dataclasses import dataclass

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACT_REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
FORMAT_CODE = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"
SERVICE_CODE = "http://fhir.ehealth.gov.vn/core/CodeSystem/service"
RESULT_CODE = "http://fhir.ehealth.gov.vn/core/CodeSystem/result"
"""Indices of results (MA_CHI_SO, QĐ 1227/QĐ-BYT). No public system has a URI for them; this one follows `service`."""
MEDICINE_CODE = "http://fhir.ehealth.gov.vn/core/CodeSystem/medicine"
"""Medicines (MA_THUOC), likewise."""


@dataclass(frozen=True, slots=True)
class CodedValue:
    """A code, its system (a URI) and what it says to a reader.

    Source: IHE ITI TF-3: Table 4.2.3.1.7-2, data type Coding; FHIR R4 Coding.
    """

    code: str
    system: str | None = None
    display: str | None = None

    def means(self, other: CodedValue) -> bool:
        """Same code in the same system; the display is only for readers."""
        return self.code == other.code and self.system == other.system


IMAGING_REPORT = CodedValue("18748-4", LOINC, "Diagnostic imaging study")
LABORATORY_REPORT = CodedValue("11502-2", LOINC, "Laboratory report")
DISCHARGE_SUMMARY = CodedValue("18842-5", LOINC, "Discharge summary")
HOSPITAL_SUMMARY = CodedValue("34105-7", LOINC, "Hospital discharge summary")
EPISODE_SUMMARY = CodedValue("34133-9", LOINC, "Summary of episode note")
PROGRESS_NOTE = CodedValue("11506-3", LOINC, "Progress note")
PLAN_OF_CARE = CodedValue("18776-5", LOINC, "Plan of care note")
REFERRAL_NOTE = CodedValue("57133-1", LOINC, "Referral note")
NORMAL = CodedValue("N", CONFIDENTIALITY, "normal")
RESTRICTED = CodedValue("R", CONFIDENTIALITY, "restricted")
HIV = CodedValue("HIV", ACT_CODE, "HIV/AIDS information sensitivity")
CONSENT_PAPER = CodedValue("59284-0", LOINC, "Consent Document")
MIME_TYPE_SUFFICIENT = CodedValue("urn:ihe:iti:xds:2017:mimeTypeSufficient", FORMAT_CODE, "mimeType Sufficient")
STAYS_HERE = CodedValue("STAYS", "urn:hie-node:sensitivity", "a paper of this hospital, no part of what is exchanged")
UNREVIEWED_TEXT = CodedValue("UNREVIEWED", "urn:hie-node:sensitivity", "free text that a person has to read first")
