"""Every transaction that a node speaks, one line each. Routes, metadata and the tests are made from this list."""

from __future__ import annotations

from adapters.cdshooks import services
from adapters.dicom import rad107_frames, rad107_retrieve, rad108_store, rad129_search, rendered
from adapters.fhir import (
    announce_referral,
    capability,
    find_imaging_studies,
    ips_summary,
    iti65_provide_document_bundle,
    iti66_find_document_lists,
    iti67_find_document_references,
    iti68_retrieve_document,
    iti78_find_patients,
    iti81_find_audit_events,
    iti83_pix,
    iti90_directory,
    iti104_feed,
    iti105_simplified_publish,
    iti108_access_consent,
    iti119_match,
    read_document_reference,
    read_imaging_study,
    read_list,
    record_between_peers,
    withdraw_receipt,
)
from adapters.soap import (
    iti18_stored_query,
    iti41_provide_and_register,
    iti42_register,
    iti43_retrieve,
    iti55_patient_discovery,
)
from adapters.transactions import Transaction

TRANSACTIONS: tuple[Transaction, ...] = (
    *capability.TRANSACTIONS,
    iti65_provide_document_bundle.TRANSACTION,
    iti66_find_document_lists.TRANSACTION,
    iti67_find_document_references.TRANSACTION,
    iti68_retrieve_document.TRANSACTION,
    *iti78_find_patients.TRANSACTIONS,
    *ips_summary.TRANSACTIONS,
    *iti81_find_audit_events.TRANSACTIONS,
    *iti83_pix.TRANSACTIONS,
    *iti90_directory.TRANSACTIONS,
    *iti104_feed.TRANSACTIONS,
    iti105_simplified_publish.TRANSACTION,
    *iti108_access_consent.TRANSACTIONS,
    *iti119_match.TRANSACTIONS,
    *read_document_reference.TRANSACTIONS,
    *read_list.TRANSACTIONS,
    find_imaging_studies.TRANSACTION,
    read_imaging_study.TRANSACTION,
    *withdraw_receipt.TRANSACTIONS,
    *record_between_peers.TRANSACTIONS,
    *announce_referral.TRANSACTIONS,
    *rad107_retrieve.TRANSACTIONS,
    *rendered.TRANSACTIONS,
    *rad107_frames.TRANSACTIONS,
    *rad108_store.TRANSACTIONS,
    *rad129_search.TRANSACTIONS,
    *iti18_stored_query.TRANSACTIONS,
    iti41_provide_and_register.TRANSACTION,
    iti42_register.TRANSACTION,
    *iti43_retrieve.TRANSACTIONS,
    iti55_patient_discovery.TRANSACTION,
    *services.TRANSACTIONS,
)
