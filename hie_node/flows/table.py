"""Which flow answers which command: at this node alone, and over the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.cdshooks.services import ListServices
from adapters.fhir.capability import DescribeNode
from adapters.fhir.iti114_topics import FindTopics, ReadTopic
from consent import commands as rules
from hie_node.acts import Act
from hie_node.flows import (
    ask_later,
    ask_network,
    audit,
    change_metadata,
    consents,
    deferred,
    describe,
    discover,
    draw,
    fetch,
    find,
    heads,
    history,
    identity_changes,
    image_sets,
    order_check,
    patients,
    preview,
    publish,
    query_gateway,
    query_patients,
    query_registry,
    read_remote,
    reconcile,
    referrals,
    register,
    remove_objects,
    remove_patient,
    retrieve_set,
    store_instances,
    subscriptions,
    summary,
)
from registry import advice, changes
from registry import commands as nouns
from registry import image_sets as images
from registry.identity_changes import LearnChange

Flow = Callable[[Act, Any], Any]

HERE: dict[type, Flow] = {
    nouns.FindDocuments: find.find_documents,
    nouns.ReadDocument: find.read_document,
    nouns.RetrieveDocument: fetch.retrieve_document,
    nouns.FindSubmissions: find.find_submissions,
    nouns.ReadSubmission: find.read_submission,
    nouns.ReadHistory: history.read_history,
    nouns.ProvideSubmission: publish.publish,
    nouns.QueryRegistry: query_registry.query_registry,
    nouns.RetrieveDocuments: retrieve_set.retrieve_documents,
    images.RetrieveImages: image_sets.retrieve_images,
    changes.ChangeMetadata: change_metadata.change_metadata,
    changes.RemoveMetadata: remove_objects.remove_metadata,
    changes.RemoveContents: remove_objects.remove_contents,
    nouns.ExpectPatient: referrals.expect_patient,
    nouns.StoreInstances: store_instances.store_instances,
    nouns.KeepInstances: store_instances.keep_instances,
    nouns.FindStudies: find.find_studies,
    nouns.ReadStudy: find.read_study,
    nouns.RetrieveStudy: fetch.retrieve_study,
    nouns.DrawImage: draw.draw_image,
    nouns.RetrieveFrames: fetch.retrieve_frames,
    nouns.FindPatients: patients.find_patients,
    nouns.QueryPatients: query_patients.query_patients,
    nouns.ContinuePatients: query_patients.continue_patients,
    nouns.EndPatients: query_patients.end_patients,
    nouns.ReadPatient: patients.read_patient,
    nouns.SummarisePatient: summary.summarise,
    nouns.ReadDirectory: describe.read_directory,
    nouns.MatchPatient: patients.match_patient,
    nouns.DiscoverPatient: discover.discover,
    nouns.DeferDiscovery: deferred.defer,
    nouns.TakeDiscovery: ask_later.take_discovery,
    nouns.CrossReference: patients.cross_reference,
    nouns.FeedPatient: register.feed,
    nouns.RemovePatient: remove_patient.remove_patient,
    nouns.MergePatients: register.merge,
    nouns.LinkPatients: register.link,
    rules.RecordConsent: consents.record_or_find,
    rules.ReadConsent: consents.read_consent,
    rules.FindConsents: consents.find_consents,
    rules.DeleteConsent: consents.delete_consent,
    rules.SaveSubscription: subscriptions.save_subscription,
    rules.ReadSubscription: subscriptions.read_subscription,
    rules.FindSubscriptions: subscriptions.find_subscriptions,
    rules.ListEvents: subscriptions.list_events,
    FindTopics: describe.find_topics,
    ReadTopic: describe.read_topic,
    rules.PreviewConsent: preview.preview_consent,
    rules.WithdrawReceipt: consents.withdraw_receipt,
    LearnChange: identity_changes.learn_change,
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
    images.RetrieveImages: image_sets.fetch_images,
    nouns.QueryRegistry: query_gateway.query_everywhere,
    nouns.FindStudies: ask_network.find_studies_everywhere,
    nouns.RetrieveStudy: fetch.fetch_study,
    nouns.DrawImage: draw.draw_image_anywhere,
    nouns.RetrieveFrames: fetch.fetch_frames,
    DescribeNode: describe.describe,
}


def flow_for(command: object, *, network: bool) -> Flow:
    """The flow of a command; a command without one is a fault of the catalogue and fails loudly."""
    return (EVERYWHERE if network else HERE)[type(command)]
