"""Which services and transfer syntaxes are spoken, and what becomes of the contexts that a caller proposes.

Sources: DICOM PS3.8: 7.1.1.13 (contexts), PS3.4: Annexes A, B, C, J; PS3.6 Annex A (UIDs).
"""

from __future__ import annotations

from collections.abc import Iterable

from adapters.dicom.dictionary import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from adapters.dicom.network.pdu import CONTEXTS_LIMIT, Associate, Context, Role

VERIFICATION = "1.2.840.10008.1.1"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
_QUERY_RETRIEVE = "1.2.840.10008.5.1.4.1.2."
PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET = (f"{_QUERY_RETRIEVE}1.{n}" for n in (1, 2, 3))
STUDY_ROOT_FIND, STUDY_ROOT_MOVE, STUDY_ROOT_GET = (f"{_QUERY_RETRIEVE}2.{n}" for n in (1, 2, 3))
FIND = frozenset({PATIENT_ROOT_FIND, STUDY_ROOT_FIND})
MOVE = frozenset({PATIENT_ROOT_MOVE, STUDY_ROOT_MOVE})
GET = frozenset({PATIENT_ROOT_GET, STUDY_ROOT_GET})
PATIENT_ROOT = frozenset({PATIENT_ROOT_FIND, PATIENT_ROOT_MOVE, PATIENT_ROOT_GET})

UNCOMPRESSED = (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
_PLAIN = (*UNCOMPRESSED, EXPLICIT_BIG, DEFLATED, "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.5")
_JPEG = "50 51 57 70 80 81 90 91 92 93 100 101 102 103 104 105 106 107 108 110 111 112 201 202 203"
TRANSFER_SYNTAXES = frozenset({*_PLAIN, *(f"1.2.840.10008.1.2.4.{number}" for number in _JPEG.split())})
"""What is stored, and sent again, as it came: nothing is decoded, so nothing has to be understood."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_COMMON = (
    "1 1.1 2 2.1 4 4.1 4.2 6.1 3.1 7 7.1 7.2 7.3 7.4 12.1 12.2 20 128 11.1 66.4 88.11 88.22 88.33 88.59 88.67 104.1"
)
STORAGE_CLASSES = tuple(_STORAGE + number for number in f"{_COMMON} 104.2 1.2 1.3 77.1.4 13.1.3".split())
"""What is asked for with C-GET, where each class has to be proposed. Source: DICOM PS3.4: B.5."""

ABSTRACT_SYNTAX_UNKNOWN, TRANSFER_SYNTAXES_UNKNOWN = 3, 4


def is_storage(abstract_syntax: str) -> bool:
    """Whether these are objects to be stored: images, reports, documents (PS3.4: B.5), all alike for who keeps them."""
    return abstract_syntax.startswith(_STORAGE)


def answer(asked: Associate, *, title: str) -> Associate:
    """The acceptance of an association: each context with the one transfer syntax that is taken, or why none is."""
    contexts = tuple(_judged(context) for context in asked.contexts)
    storage = {context.abstract_syntax for context in asked.contexts if is_storage(context.abstract_syntax)}
    # who retrieves with C-GET provides storage for what comes back
    roles = {uid: Role(role.scu, role.scp and uid in storage) for uid, role in asked.roles.items()}
    return Associate(title, asked.calling, contexts, roles)


def _judged(context: Context) -> Context:
    known = is_storage(context.abstract_syntax)
    if not known and context.abstract_syntax not in FIND | MOVE | GET | {VERIFICATION, STORAGE_COMMITMENT}:
        return _refused(context, ABSTRACT_SYNTAX_UNKNOWN)
    spoken = [uid for uid in context.transfer_syntaxes if uid in (TRANSFER_SYNTAXES if known else UNCOMPRESSED)]
    if not spoken:
        return _refused(context, TRANSFER_SYNTAXES_UNKNOWN)
    # the proposer's order, but what writes its value representations is better than what does not
    chosen = next((uid for uid in spoken if uid != IMPLICIT_LITTLE), IMPLICIT_LITTLE)
    return Context(context.id, context.abstract_syntax, (chosen,))


def _refused(context: Context, result: int) -> Context:
    return Context(context.id, context.abstract_syntax, (IMPLICIT_LITTLE,), result)


def for_sending(objects: Iterable[tuple[str, str]]) -> tuple[Context, ...]:
    """Contexts that propose each pair of SOP class and transfer syntax by itself, as objects are stored in them; and
    the default transfer syntax for what can be written anew in it."""
    stored = set(objects)
    anew = {(sop_class, IMPLICIT_LITTLE) for sop_class, syntax in stored if syntax == EXPLICIT_LITTLE}
    pairs = [*sorted(stored), *sorted(anew - stored)][:CONTEXTS_LIMIT]
    return tuple(Context(2 * place + 1, sop_class, (syntax,)) for place, (sop_class, syntax) in enumerate(pairs))
