"""What comes over an association, bent in every way: it is read, or refused as what it is, and nothing else happens."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dicom.dictionary import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.network import pdu
from adapters.dicom.network.commands import Request, Status, read_command, write_command
from adapters.dicom.network.commitment import Commitment, read_commitment, write_report
from adapters.dicom.network.errors import BadCommand, BadPdu, Refused
from adapters.dicom.network.find import read_identifier, write_question
from adapters.dicom.network.pdu import Associate, Context, Kind, Role
from adapters.dicom.network.services import STUDY_ROOT_FIND, STUDY_ROOT_GET, answer
from adapters.dicom.network.statuses import STATUSES, status_of
from consent.errors import ScopeMissing
from registry.errors import NotFound, StorageUnavailable

CT = "1.2.840.10008.5.1.4.1.1.2"
ASKED = Associate(
    "BACNINH",
    "CT1",
    (Context(1, CT, (EXPLICIT_LITTLE, IMPLICIT_LITTLE)), Context(3, STUDY_ROOT_GET, (IMPLICIT_LITTLE,))),
    {CT: Role(scu=True, scp=True)},
    16384,
)
BODY = pdu.write_associate(Kind.ASSOCIATE_RQ, ASKED)[6:]
QUESTION = write_question("STUDY", {"PatientID": "BN-1"}, ("StudyInstanceUID",), implicit=False)


def bent(content: bytes) -> st.SearchStrategy[bytes]:
    """The same with one byte changed, cut, or with something put in."""
    place = st.integers(0, len(content) - 1)
    return st.builds(
        lambda at, drop, more: content[:at] + more + content[at + drop :],
        place,
        st.integers(0, 40),
        st.binary(max_size=9),
    )


def test_an_association_says_the_same_when_it_is_read_again() -> None:
    assert pdu.read_associate(BODY) == ASKED
    accepted = answer(ASKED, title="BACNINH")
    read = pdu.read_associate(pdu.write_associate(Kind.ASSOCIATE_AC, accepted)[6:])
    assert [(one.id, one.result, one.transfer_syntax) for one in read.contexts] == [
        (1, 0, EXPLICIT_LITTLE),
        (3, 0, IMPLICIT_LITTLE),
    ]
    assert read.roles == {CT: Role(scu=True, scp=True)}


@given(bent(BODY))
def test_a_bent_association_is_read_or_refused(content: bytes) -> None:
    with suppress(BadPdu):
        answer(pdu.read_associate(content), title="X")


@given(st.binary(min_size=6, max_size=6))
def test_no_length_is_believed(head: bytes) -> None:
    try:
        kind, length = pdu.read_header(head)
    except BadPdu:
        return
    assert 4 <= length <= (pdu.NEGOTIATION_LENGTH if kind in (1, 2) else pdu.OWN_LENGTH)


@given(bent(pdu.data(1, write_command(Request.ECHO, MessageID=1), is_command=True, is_last=True)[6:]))
def test_a_bent_message_is_read_or_refused(content: bytes) -> None:
    with suppress(BadPdu, BadCommand):
        for piece in pdu.fragments(content):
            read_command(bytes(piece.data))


@given(bent(QUESTION), st.sampled_from([EXPLICIT_LITTLE, IMPLICIT_LITTLE]))
def test_a_bent_question_is_read_or_refused(content: bytes, syntax: str) -> None:
    try:
        read_identifier(content, sop_class=STUDY_ROOT_FIND, transfer_syntax=syntax)
    except Refused as refusal:
        assert refusal.status in (Status.CANNOT_UNDERSTAND, Status.DOES_NOT_MATCH)


def test_a_commitment_says_the_same_when_it_is_read_again() -> None:
    asked = Commitment("1.2.3", ((CT, "1.2.3.4"), (CT, "1.2.3.5")))
    for syntax in (EXPLICIT_LITTLE, IMPLICIT_LITTLE):
        content = write_report(asked, asked.objects, (), transfer_syntax=syntax)
        assert read_commitment(content, transfer_syntax=syntax) == asked
    with pytest.raises(Refused):
        read_commitment(write_report(asked, (), (), transfer_syntax=EXPLICIT_LITTLE), transfer_syntax=EXPLICIT_LITTLE)


def test_every_error_has_a_status_and_a_fault_of_ours_is_a_processing_failure() -> None:
    assert status_of(StorageUnavailable("database", "full")) == Status.OUT_OF_RESOURCES
    assert status_of(NotFound("study")) == Status.NO_SUCH_INSTANCE
    assert status_of(ScopeMissing()) == Status.NOT_AUTHORIZED
    assert status_of(ZeroDivisionError()) == Status.PROCESSING_FAILURE
    assert all(isinstance(status, Status) for status in STATUSES.values())
