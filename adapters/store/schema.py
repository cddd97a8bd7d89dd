"""The tables. A noun is one JSON text (`body`); the columns beside it are those that are searched.

Names of constraints follow one convention, so that a migration can name what it changes. Texts that are compared or
sorted use the collation "C" on PostgreSQL, which is SQLite's order and Python's.
Moments are text in UTC to the microsecond (`rows.moment`): they sort as they read.
An index of some rows only is one on PostgreSQL as well; to say it here would load all of its dialect in every process.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    desc,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = Text().with_variant(Text(collation="C"), "postgresql")
Number = BigInteger().with_variant(Integer(), "sqlite")


class Bytes(LargeBinary):
    """Binary values as they are: both drivers take and give `bytes`, so nothing stands between."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


def _id() -> Column[str]:
    return Column("id", Key, primary_key=True)


def _body() -> Column[str]:
    return Column("body", Text, nullable=False)


def _record(*, nullable: bool = False) -> Column[str]:
    return Column("record_id", Key, ForeignKey("source_record.id"), nullable=nullable)


# --- patients ---------------------------------------------------------------------------------------------------------

source_record = Table(
    "source_record",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Key, nullable=False, unique=True),
    Column("system", Key, nullable=False),
    Column("value", Key, nullable=False),
    Column("person_id", Key, nullable=False, index=True),
    Column("birth_year", Integer),
    Column("folded_name", Key, nullable=False),
    Column("version", Integer, nullable=False),
    _body(),
)
Index("uq_source_record_system_value", source_record.c.system, source_record.c.value, unique=True)

source_record_version = Table(
    "source_record_version",
    metadata,
    Column("record_id", Key, ForeignKey("source_record.id"), nullable=False),
    Column("version", Integer, nullable=False),
    _body(),
    PrimaryKeyConstraint("record_id", "version"),
)

# keys are hashed to 64 bits: ten million patients have some sixty million of them, and none of them is readable here
blocking_key = Table(
    "blocking_key",
    metadata,
    Column("key", BigInteger, nullable=False),
    Column("record_number", BigInteger, nullable=False),
    PrimaryKeyConstraint("key", "record_number"),
    sqlite_with_rowid=False,
)

# which way of making keys the two tables around this one were filled with (`registry.blocking.KEYS_VERSION`)
index_version = Table(
    "index_version",
    metadata,
    Column("name", Key, primary_key=True),
    Column("version", Integer, nullable=False),
)

name_word = Table(
    "name_word",
    metadata,
    Column("word", Key, nullable=False),
    Column("record_number", BigInteger, nullable=False),
    PrimaryKeyConstraint("word", "record_number"),
    sqlite_with_rowid=False,
)

assigning_authority = Table("assigning_authority", metadata, Column("system", Key, primary_key=True))

link = Table(
    "link",
    metadata,
    _id(),
    _record(),
    Column("person_id", Key, nullable=False, index=True),
    Column("created", Key, nullable=False),
    Column("undone", Key),
    _body(),
    Index("ix_link_record_id", "record_id"),
)

review = Table(
    "review",
    metadata,
    _id(),
    Column("opened", Key, nullable=False),
    Column("closed", Key),
    _body(),
    Index("ix_review_closed_opened", "closed", "opened"),
)

# both directions are rows, so that either record finds the other
kept_apart = Table(
    "kept_apart",
    metadata,
    Column("record_id", Key, ForeignKey("source_record.id"), nullable=False),
    Column("other_id", Key, ForeignKey("source_record.id"), nullable=False),
    Column("decided", Key, nullable=False),
    Column("author", Key, nullable=False),
    PrimaryKeyConstraint("record_id", "other_id"),
)

# --- documents and studies --------------------------------------------------------------------------------------------

document = Table(
    "document",
    metadata,
    _id(),
    Column("entry_uuid", Key, nullable=False, unique=True),
    Column("unique_id", Key, nullable=False, unique=True),
    Column("source_key", Key, unique=True),
    _record(),
    Column("status", Key, nullable=False),
    Column("performed", Key, nullable=False),
    Column("sensitivity", Key, nullable=False),
    _body(),
)
Index("ix_document_newest", document.c.record_id, desc(document.c.performed), desc(document.c.id))
Index("ix_document_performed", desc(document.c.performed), desc(document.c.id))
Index("ix_document_counts", document.c.record_id, document.c.status, document.c.sensitivity)
Index(
    "ix_document_labelled",
    desc(document.c.performed),
    desc(document.c.id),
    sqlite_where=document.c.sensitivity != "[]",
)

text_reading = Table(
    "text_reading",
    metadata,
    Column("record_id", Key, ForeignKey("source_record.id"), primary_key=True),
    Column("content_hash", Key, primary_key=True),
    Column("document_id", Key, nullable=False, index=True),
    Column("finding", Key, nullable=False),
    Column("read", Key, nullable=False, index=True),
    _body(),
)

open_query = Table(
    "open_query",
    metadata,
    Column("asker", Key, primary_key=True),
    Column("query_id", Key, primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("expires", Key, nullable=False, index=True),
)

# what was removed, by number alone: an id that is gone is not given out again; the bytes may go later
removed_document = Table(
    "removed_document",
    metadata,
    _id(),
    Column("unique_id", Key, nullable=False, index=True),
    _record(),
    Column("removed", Key, nullable=False),
    Column("content_hash", Key, nullable=False),
    Index("ix_removed_document_record_id", "record_id"),
)

submission_set = Table(
    "submission_set",
    metadata,
    _id(),
    Column("entry_uuid", Key, nullable=False),
    Column("unique_id", Key, nullable=False, unique=True),
    Column("record_id", Key),
    Column("submitted", Key, nullable=False),
    _body(),
)
Index("ix_submission_set_entry_uuid", submission_set.c.entry_uuid)
Index(
    "ix_submission_set_newest", submission_set.c.record_id, desc(submission_set.c.submitted), desc(submission_set.c.id)
)
Index("ix_submission_set_submitted", desc(submission_set.c.submitted), desc(submission_set.c.id))

folder = Table(
    "folder",
    metadata,
    _id(),
    Column("unique_id", Key, nullable=False, unique=True),
    Column("entry_uuid", Key, nullable=False, server_default="", index=True),
    _record(),
    Column("updated", Key, nullable=False),
    _body(),
)
Index("ix_folder_newest", folder.c.record_id, desc(folder.c.updated), desc(folder.c.id))
Index("ix_folder_updated", desc(folder.c.updated), desc(folder.c.id))

# documents and folders as they were before they changed
earlier_version = Table(
    "earlier_version",
    metadata,
    Column("kind", Key, nullable=False),
    Column("id", Key, nullable=False),
    Column("version", Integer, nullable=False),
    Column("entry_uuid", Key, nullable=False, index=True),
    Column("unique_id", Key, nullable=False, index=True),
    Column("record_id", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("kind", "id", "version"),
)

visit = Table(
    "visit",
    metadata,
    _record(),
    Column("key", Key, nullable=False),
    _body(),
    Column("source", Bytes, nullable=False),
    PrimaryKeyConstraint("record_id", "key"),
)

referral = Table(
    "referral",
    metadata,
    _record(),
    Column("sender", Key, nullable=False),
    Column("number", Key, nullable=False),
    Column("signed", Key, nullable=False),
    _body(),
    PrimaryKeyConstraint("record_id", "sender", "number"),
)

study = Table(
    "study",
    metadata,
    _id(),
    Column("study_instance_uid", Key, nullable=False, unique=True),
    Column("manifest_key", Key, nullable=False, server_default="", index=True),
    _record(),
    Column("started", Key, nullable=False),
    Column("sensitivity", Key, nullable=False),
    _body(),
)
Index("ix_study_newest", study.c.record_id, desc(study.c.started), desc(study.c.id))
Index("ix_study_started", desc(study.c.started), desc(study.c.id))

# a SOP instance belongs to one study for ever: who asks for it by its UID alone finds it here
study_instance = Table(
    "study_instance",
    metadata,
    Column("sop_instance_uid", Key, primary_key=True),
    Column("study_id", Key, ForeignKey("study.id"), nullable=False, index=True),
)

quarantine = Table(
    "quarantine",
    metadata,
    _id(),
    Column("study_instance_uid", Key, nullable=False, index=True),
    Column("received", Key, nullable=False),
    Column("waits", Boolean, nullable=False, index=True),
    _body(),
)

# a report and images that may belong together; what was said of them outlives both
pair_doubt = Table(
    "pair_doubt",
    metadata,
    _id(),
    _record(),
    Column("study_id", Key, nullable=False, index=True),
    Column("document_id", Key, nullable=False, index=True),
    Column("decision", Key, nullable=False),
    Column("changed", Key, nullable=False),
    _body(),
    Index("ix_pair_doubt_decision", "decision", "changed"),
)

# how each hospital answered, question by question; nothing of a patient
peer_answer = Table(
    "peer_answer",
    metadata,
    Column("number", Number, primary_key=True),
    Column("home", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("at", Key, nullable=False),
    Column("milliseconds", BigInteger, nullable=False),
    Index("ix_peer_answer_home_number", "home", "number"),
)

# verifications of the sealed record that somebody asked for
record_check = Table("record_check", metadata, _id(), Column("asked", Key, nullable=False, index=True), _body())

# what a registrar said of a file in the drop folder that nobody could place
file_decision = Table(
    "file_decision",
    metadata,
    _id(),
    _record(nullable=True),
    Column("decided", Key, nullable=False, index=True),
    _body(),
)

remote_entry = Table(
    "remote_entry",
    metadata,
    _id(),
    Column("study_instance_uid", Key, index=True),
    Column("seen", Key, nullable=False, index=True),
    Column("unique_id", Key, index=True),
    Column("entry_uuid", Key, index=True),
    _body(),
)

correlation = Table(
    "correlation",
    metadata,
    Column("home", Key, nullable=False),
    Column("told", Boolean, nullable=False),
    Column("key", Key, nullable=False),
    Column("expires", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("home", "told", "key"),
)

# no key to a record: who is asked for need not be registered here
deferred_question = Table(
    "deferred_question",
    metadata,
    Column("home", Key, nullable=False),
    Column("fingerprint", Key, nullable=False),
    Column("question_id", Key, nullable=False, index=True),
    Column("record_id", Key, nullable=False, index=True),
    Column("expires", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("home", "fingerprint"),
)

identity_learnt = Table(
    "identity_learnt",
    metadata,
    Column("home", Key, nullable=False),
    Column("record_id", Key, ForeignKey("source_record.id"), nullable=False, index=True),
    Column("seen", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("home", "record_id"),
)

identity_notice = Table(
    "identity_notice",
    metadata,
    _id(),
    Column("made", Key, nullable=False, index=True),
    _body(),
)

# --- the moment of ordering -------------------------------------------------------------------------------------------

# the last answers of other hospitals about a patient, one row a kind of question
heard = Table(
    "heard",
    metadata,
    _record(),
    Column("kind", Key, nullable=False),
    Column("asked", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("record_id", "kind"),
)

order_card = Table(
    "order_card",
    metadata,
    Column("card", Key, primary_key=True),
    Column("given", Key, nullable=False, index=True),
    _body(),
)

order_decision = Table(
    "order_decision",
    metadata,
    Column("card", Key, primary_key=True),
    Column("decided", Key, nullable=False, index=True),
    _body(),
)

# --- consents and the record of disclosures ---------------------------------------------------------------------------

consent = Table(
    "consent",
    metadata,
    _id(),
    _record(),
    Column("status", Key, nullable=False),
    Column("given", Key, nullable=False),
    Column("version", Integer, nullable=False),
    _body(),
    Index("ix_consent_record_id", "record_id"),
)

consent_version = Table(
    "consent_version",
    metadata,
    Column("consent_id", Key, ForeignKey("consent.id"), nullable=False),
    Column("version", Integer, nullable=False),
    _body(),
    PrimaryKeyConstraint("consent_id", "version"),
)

receipt = Table(
    "receipt",
    metadata,
    _id(),
    Column("signer", Key, nullable=False),
    Column("issued", Key, nullable=False),
    Column("kept", Key, nullable=False),
    Column("jws", Text, nullable=False),
    _body(),
)

# apart from the receipt, since a withdrawal may come first
receipt_withdrawal = Table(
    "receipt_withdrawal",
    metadata,
    Column("receipt_id", Key, nullable=False),
    Column("signer", Key, nullable=False),
    Column("withdrawn", Text, nullable=False),
    PrimaryKeyConstraint("receipt_id", "signer"),
)

receipt_holder = Table(
    "receipt_holder",
    metadata,
    Column("receipt_id", Key, nullable=False),
    Column("home", Key, nullable=False),
    PrimaryKeyConstraint("receipt_id", "home"),
)

emergency = Table(
    "emergency",
    metadata,
    _id(),
    _record(nullable=True),
    Column("ends", Key, nullable=False),
    Column("due", Key, nullable=False),
    Column("reviewed", Key),
    _body(),
)
Index("ix_emergency_record_id_ends", emergency.c.record_id, emergency.c.ends)
Index("ix_emergency_reviewed_due", emergency.c.reviewed, emergency.c.due)

# body is the canonical JSON whose hash is sealed; triggers refuse any change of it (migrations 0001 and 0007)
disclosure = Table(
    "disclosure",
    metadata,
    Column("number", Number, primary_key=True),
    Column("id", Key, nullable=False, unique=True),
    Column("record_id", Key),
    Column("recorded", Key, nullable=False),
    Column("position", BigInteger, unique=True),
    _body(),
    Column("subject", Key),
    Column("other", Key),
)
Index("ix_disclosure_subject_recorded", disclosure.c.subject, disclosure.c.recorded)
Index("ix_disclosure_other_recorded", disclosure.c.other, disclosure.c.recorded)
Index("ix_disclosure_record_id_recorded", disclosure.c.record_id, disclosure.c.recorded)
Index("ix_disclosure_recorded", disclosure.c.recorded)
Index(
    "ix_disclosure_unsealed",
    disclosure.c.number,
    sqlite_where=disclosure.c.position.is_(None),
)

seal = Table("seal", metadata, Column("size", BigInteger, primary_key=True, autoincrement=False), _body())

# heads of other hospitals' records, kept for them; two roots of one size are the proof of two histories
kept_head = Table(
    "kept_head",
    metadata,
    Column("home", Key, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", Key, nullable=False),
    Column("kept", Key, nullable=False),
    Column("signature", Text, nullable=False),
    PrimaryKeyConstraint("home", "size", "root"),
)

# the newest head of ours that each other hospital signed for
cosignature = Table(
    "cosignature",
    metadata,
    Column("keeper", Key, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("signature", Text, nullable=False),
)

alarm = Table(
    "alarm",
    metadata,
    _id(),
    Column("raised", Key, nullable=False),
    Column("cleared", Key),
    _body(),
)
Index("ix_alarm_cleared_raised", alarm.c.cleared, alarm.c.raised)

# different patients a day that one person or one hospital opened
breadth = Table(
    "breadth",
    metadata,
    Column("about", Key, nullable=False),
    Column("day", Key, nullable=False),
    Column("patients", Integer, nullable=False),
    PrimaryKeyConstraint("about", "day"),
)

# the node came back from a backup: what the record had then, and that everybody was asked what it missed
restore = Table(
    "restore",
    metadata,
    Column("restored", Key, primary_key=True),
    Column("kept", BigInteger, nullable=False),
    Column("caught_up", Key),
    Column("answer", Text),
)

# up to which position of the record something was delivered elsewhere
delivery = Table(
    "delivery",
    metadata,
    Column("name", Key, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

received_message = Table(
    "received_message",
    metadata,
    Column("sender", Key, nullable=False),
    Column("control_id", Key, nullable=False),
    Column("digest", Key, nullable=False),
    Column("received", Key, nullable=False),
    PrimaryKeyConstraint("sender", "control_id", "digest"),
)
Index("ix_received_message_received", received_message.c.received)

# small originals are sealed in the row, so that a message and its effect are one commit
feed_item = Table(
    "feed_item",
    metadata,
    _id(),
    Column("feed", Key, nullable=False),
    Column("received", Key, nullable=False, index=True),
    Column("outcome", Key, nullable=False),
    Column("digest", Key, nullable=False),
    Column("owner", Key, nullable=False),
    _body(),
    Column("sealed", Bytes),
    Index("ix_feed_item_outcome_received", "outcome", "received"),
    Index("ix_feed_item_digest_received", "digest", "received"),
)

expected_patient = Table(
    "expected_patient",
    metadata,
    Column("sender", Key, nullable=False),
    Column("number", Key, nullable=False),
    Column("received", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("sender", "number"),
)

# copies from other hospitals, apart from the own records; keys are ids of listed documents, and UIDs
ahead = Table(
    "ahead",
    metadata,
    _id(),
    Column("sender", Key, nullable=False),
    Column("number", Key, nullable=False),
    Column("expires", Key, nullable=False, index=True),
    _body(),
    Index("ix_ahead_sender_number", "sender", "number", unique=True),
)

ahead_item = Table(
    "ahead_item",
    metadata,
    Column("owner", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("key", Key, nullable=False),
    Column("study", Key, nullable=False),
    _body(),
    PrimaryKeyConstraint("owner", "kind", "key"),
    Index("ix_ahead_item_key_kind", "key", "kind"),
    Index("ix_ahead_item_study_kind", "study", "kind"),
)

spent_token = Table(
    "spent_token",
    metadata,
    Column("issuer", Key, nullable=False),
    Column("token_id", Key, nullable=False),
    Column("expires", Key, nullable=False, index=True),
    PrimaryKeyConstraint("issuer", "token_id"),
)

# --- the house --------------------------------------------------------------------------------------------------------

job = Table(
    "job",
    metadata,
    Column("id", Number, primary_key=True),
    Column("kind", Key, nullable=False),
    Column("payload", Text, nullable=False),
    Column("run_at", Key, nullable=False, index=True),
    Column("leased_until", Key),
    Column("attempts", Integer, nullable=False),
    Column("dedup_key", Key, unique=True),
    Column("again", Boolean, nullable=False),
    Column("error_code", Text),
)

subscription = Table(
    "subscription",
    metadata,
    _id(),
    Column("client_id", Key, nullable=False, index=True),
    Column("kind", Key, nullable=False),
    Column("heard", Boolean, nullable=False),
    Column("record_id", Key),
    _body(),
    Index("ix_subscription_heard_kind_record_id", "heard", "kind", "record_id"),
)

# a change is numbered once for each subscription, however often it is looked at
subscription_event = Table(
    "subscription_event",
    metadata,
    Column("subscription_id", Key, nullable=False),
    Column("number", Integer, nullable=False),
    Column("occurred", Key, nullable=False, index=True),
    Column("focus", Key, nullable=False),
    Column("version", Integer, nullable=False),
    Column("record_id", Key, nullable=False, index=True),
    _body(),
    PrimaryKeyConstraint("subscription_id", "number"),
)
Index(
    "uq_subscription_event_focus",
    subscription_event.c.subscription_id,
    subscription_event.c.focus,
    subscription_event.c.version,
    unique=True,
)

user = Table("house_user", metadata, Column("username", Key, primary_key=True), _body())
client = Table("house_client", metadata, Column("client_id", Key, primary_key=True), _body())

# the key is the SHA-256 of what the browser keeps, so that a copy of the database opens no session
session = Table(
    "house_session",
    metadata,
    _id(),
    Column("username", Key, nullable=False),
    Column("started", Key, nullable=False),
    Column("seen", Key, nullable=False, index=True),
    Column("proved", Key),
    Column("factor", Key),
)

# by the SHA-256 of the name: people type passwords into the field of the name
login_try = Table(
    "login_try",
    metadata,
    Column("name", Key, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("since", Key, nullable=False, index=True),
)

patient_key = Table(
    "patient_key",
    metadata,
    Column("owner", Key, primary_key=True),
    Column("wrapped", Bytes, nullable=False),
    CheckConstraint("length(wrapped) = 60", name="wrapped_length"),
)

# documents of a few kilobytes: a file for each would cost three waits for the disk
small_content = Table(
    "small_content",
    metadata,
    Column("owner", Key, nullable=False),
    Column("content_hash", Key, nullable=False),
    Column("sealed", Bytes, nullable=False),
    PrimaryKeyConstraint("owner", "content_hash"),
)
