"""Which flow answers which command: at this node alone, and over the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.cdshooks.services import ListServices
from adapters.fhir.capability import DescribeNode
from consent import commands as rules
from hie_node.acts import Act
from hie_node.flows import (
    ask_network,
    audit,
    consents,
    describe,
    discover,
    draw,
    fetch,
    find,
    heads,
    order_check,
    patients,
    publish,
    query_registry,
    read_remote,
    reconcile,
    referrals,
    register,
    remove_patient,
    retrieve_set,
    store_instances,
    summary,
)
from registry import advice
from registry import commands as nouns

Flow = Callable[[Act, Any], Any]

HERE: dict[type, Flow] = {
    nouns.FindDocuments: find.find_documents,
    nouns.ReadDocument: find.read_document,
    nouns.RetrieveDocument: fetch.retrieve_document,
    nouns.FindSubmissions: find.find_submissions,
    nouns.ReadSubmission: find.read_submission,
    nouns.ProvideSubmission: publish.publish,
    nouns.QueryRegistry: query_registry.query_registry,
    nouns.RetrieveDocuments: retrieve_set.retrieve_documents,
    nouns.ExpectPatient: referrals.expect_patient,
    nouns.StoreInstances: store_instances.store_instances,
    nouns.KeepInstances: store_instances.keep_instances,
    nouns.FindStudies: find.find_studies,
    nouns.ReadStudy: find.read_study,
    nouns.RetrieveStudy: fetch.retrieve_study,
    nouns.DrawImage: draw.draw_image,
    nouns.RetrieveFrames: fetch.retrieve_frames,
    nouns.FindPatients: patients.find_patients,
    nouns.ReadPatient: patients.read_patient,
    nouns.SummarisePatient: summary.summarise,
    nouns.ReadDirectory: describe.read_directory,
    nouns.MatchPatient: patients.match_patient,
    nouns.DiscoverPatient: discover.discover,
    nouns.CrossReference: patients.cross_reference,
    nouns.FeedPatient: register.feed,
    nouns.RemovePatient: remove_patient.remove_patient,
    nouns.MergePatients: register.merge,
    nouns.LinkPatients: register.link,
    rules.RecordConsent: consents.record_consent,
    rules.ReadConsent: consents.read_consent,
    rules.FindConsents: consents.find_consents,
    rules.DeleteConsent: consents.delete_consent,
    rules.WithdrawReceipt: consents.withdraw_receipt,
    rules.FindDisclosures: audit.find_disclosures,
    rules.KeepHead: heads.keep_head,
    rules.ListKeptHeads: heads.kept_heads,
    rules.ListExchanges: reconcile.list_exchanges,
    rules.ListWithdrawals: consents.list_withdrawals,
    advice.CheckOrder: order_check.check_order,
    advice.AnswerCards: order_check.answer_cards,
    ListServices: describe.list_services,
    DescribeNode: describe.describe,
}

EVERYWHERE: dict[type, Flow] = {
    nouns.FindDocuments: ask_network.find_documents_everywhere,
    nouns.ReadDocument: read_remote.read_document_anywhere,
    nouns.ReadStudy: read_remote.read_study_anywhere,
    nouns.RetrieveDocument: fetch.fetch_document,
    nouns.RetrieveDocuments: retrieve_set.fetch_documents,
    nouns.QueryRegistry: query_registry.query_registry,
    nouns.FindStudies: ask_network.find_studies_everywhere,
    nouns.RetrieveStudy: fetch.fetch_study,
    nouns.DrawImage: draw.draw_image_anywhere,
    nouns.RetrieveFrames: fetch.fetch_frames,
    DescribeNode: describe.describe,
}


def flow_for(command: object, *, network: bool) -> Flow:
    """The flow of a command; a command without one is a fault of the catalogue and fails loudly."""
    return (EVERYWHERE if network else HERE)[type(command)]
