"""HL7 version 3: the wrapper that its messages share, and a patient described in it.

Source: HL7 v3 Normative Edition 2008 (MCCI, MFMI, PRPA); IHE ITI TF-2: 3.55, Appendix O
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import uuid4

from adapters.soap.datatypes import authority_of, oid_of
from adapters.soap.envelope import text
from adapters.soap.names import HL7, XSI, children, named, text_of
from adapters.xml_door import XmlElement
from registry.errors import InvalidIdentifier
from registry.identifiers import HomeCommunityId, PatientIdentifier, is_oid
from registry.people import Gender, HumanName

INTERACTIONS = "2.16.840.1.113883.1.6"
GENDERS: dict[str, Gender] = {"M": "male", "F": "female", "UN": "other"}
CODES = {gender: code for code, gender in GENDERS.items()}
_UID = re.compile(
    r"[0-2](\.(0|[1-9]\d*))*|[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[A-Za-z][A-Za-z0-9-]*", re.ASCII
)
"""An OID, a UUID, or an identifier that HL7 reserves. Source: HL7 v3 data types, UID"""
DETERMINED = 'classCode="DEV" determinerCode="INSTANCE"'


@dataclass(frozen=True, slots=True)
class Wrapper:
    """What an answer needs of its question: which message it was, and which device sent it."""

    message_root: str
    message_extension: str
    sender: str


def h(element: XmlElement | None, path: str) -> XmlElement | None:
    """An element below, by the names on the way to it."""
    for name in path.split("/"):
        element = None if element is None else element.find(named(HL7, name))
    return element


def read_wrapper(body: XmlElement) -> Wrapper:
    own, device = h(body, "id"), h(body, "sender/device/id")
    return Wrapper(
        "" if own is None else own.get("root", ""),
        "" if own is None else own.get("extension", ""),
        "" if device is None else device.get("root", ""),
    )


def write_head(
    interaction: str,
    *,
    home: HomeCommunityId,
    receiver: str,
    acknowledges: Wrapper | None,
    moment: str,
    code: str = "AA",
    details: str = "",
    later: tuple[str, str] | None = None,
) -> str:
    """Everything before controlActProcess; a question where it acknowledges nothing.

    later  of a question that is answered later: its own id, and the address where its answer belongs
    """
    own_id, respond_to = later or (str(uuid4()), "")
    sender = home.value.removeprefix("urn:oid:")
    represented = (
        f'<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        f'<id root="{sender}"/></representedOrganization></asAgent>'
    )
    acknowledgement = ""
    if acknowledges is not None:
        target = write_id("id", acknowledges.message_root, acknowledges.message_extension)
        target = f"<targetMessage>{target}</targetMessage>"
        acknowledgement = f'<acknowledgement><typeCode code="{code}"/>{target}{details}</acknowledgement>'
    return (
        f'<id root="{own_id}"/><creationTime value="{moment}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{interaction}"/><processingCode code="P"/>'
        f'<processingModeCode code="T"/><acceptAckCode code="{"AL" if acknowledges is None else "NE"}"/>'
        f'<receiver typeCode="RCV"><device {DETERMINED}>{write_id("id", receiver)}</device></receiver>'
        f"{_respond_to(respond_to, sender)}"
        f'<sender typeCode="SND"><device {DETERMINED}><id root="{sender}"/>{represented}</device></sender>'
        f"{acknowledgement}"
    )


def _respond_to(address: str, sender: str) -> str:
    if not address:
        return ""
    entity = f'<entityRsp {DETERMINED}><id root="{sender}"/></entityRsp>'
    return f'<respondTo typeCode="RSP"><telecom value="{text(address)}"/>{entity}</respondTo>'


def write_id(element: str, root: str, extension: str = "") -> str:
    """An id as another message gave it; one that is none counts as not given, so that the answer stays valid."""
    if not _UID.fullmatch(root):
        return f'<{element} nullFlavor="NI"/>'
    return f'<{element} root="{root}"' + (f' extension="{text(extension)}"' if extension else "") + "/>"


def open_tag(name: str) -> str:
    return f'<{name} xmlns="{HL7}" xmlns:xsi="{XSI}" ITSVersion="XML_1.0">'


# ---- a patient, described ----


def read_ii(element: XmlElement) -> PatientIdentifier | None:
    """An identifier; None without an extension."""
    root, extension = element.get("root", ""), element.get("extension", "")
    if not extension:
        return None
    if not is_oid(root):
        raise InvalidIdentifier("id", expected="the OID of its authority as root")
    return PatientIdentifier(authority_of(root), extension)


def write_ii(number: PatientIdentifier, element: str = "id") -> str:
    """An identifier whose system has an OID; nothing for another."""
    root = oid_of(number.system)
    return f'<{element} root="{root}" extension="{text(number.value)}"/>' if root else ""


def read_name(element: XmlElement | None) -> HumanName | None:
    """Surname first, as Vietnamese names are read; a name without parts as it stands."""
    if element is None:
        return None
    family = [text_of(each) for each in children(element, HL7, "family")]
    given = [text_of(each) for each in children(element, HL7, "given")]
    words = " ".join(part for part in (*family, *given) if part) or text_of(element)
    if not words:
        return None
    if not family:
        return HumanName.of(words)
    return HumanName(words, " ".join(family), " ".join(given) or None)


def write_name(name: HumanName, element: str = "name") -> str:
    family, _, given = name.text.partition(" ")
    inside = f"<family>{text(family)}</family>" + (f"<given>{text(given)}</given>" if given else "")
    return f"<{element}>{inside}</{element}>"
