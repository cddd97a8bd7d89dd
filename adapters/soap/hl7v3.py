"""HL7 version 3: the wrapper that its messages share, and a patient described in it.

Source: HL7 v3 Normative Edition 2008 (MCCI, MFMI, PRPA); IHE ITI TF-2: 3.55, Appendix O
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from adapters.soap.datatypes import authority_of, birth_date_of, oid_of
from adapters.soap.envelope import text
from adapters.soap.names import HL7, XSI, children, named, text_of
from adapters.xml_door import XmlElement
from registry.errors import InvalidIdentifier, InvalidValue
from registry.identifiers import HomeCommunityId, PatientIdentifier, is_oid
from registry.people import Demographics, Gender, HumanName, PatientInQuestion

INTERACTIONS = "2.16.840.1.113883.1.6"
GENDERS: dict[str, Gender] = {"M": "male", "F": "female", "UN": "other"}
CODES = {gender: code for code, gender in GENDERS.items()}
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
) -> str:
    """Everything before controlActProcess; a question where it acknowledges nothing."""
    sender = home.value.removeprefix("urn:oid:")
    represented = (
        f'<asAgent classCode="AGNT"><representedOrganization classCode="ORG" determinerCode="INSTANCE">'
        f'<id root="{sender}"/></representedOrganization></asAgent>'
    )
    acknowledgement = ""
    if acknowledges is not None:
        extension = f' extension="{text(acknowledges.message_extension)}"' if acknowledges.message_extension else ""
        target = f'<targetMessage><id root="{text(acknowledges.message_root)}"{extension}/></targetMessage>'
        acknowledgement = f'<acknowledgement><typeCode code="{code}"/>{target}</acknowledgement>'
    return (
        f'<id root="{uuid4()}"/><creationTime value="{moment}"/>'
        f'<interactionId root="{INTERACTIONS}" extension="{interaction}"/><processingCode code="P"/>'
        f'<processingModeCode code="T"/><acceptAckCode code="{"AL" if acknowledges is None else "NE"}"/>'
        f'<receiver typeCode="RCV"><device {DETERMINED}><id root="{text(receiver)}"/></device></receiver>'
        f'<sender typeCode="SND"><device {DETERMINED}><id root="{sender}"/>{represented}</device></sender>'
        f"{acknowledgement}"
    )


def open_tag(name: str) -> str:
    return f'<{name} xmlns="{HL7}" xmlns:xsi="{XSI}" ITSVersion="XML_1.0">'


# ---- a patient, described ----


def read_described(parameters: XmlElement) -> PatientInQuestion:
    """The parameterList of a query by demographics. Raises InvalidValue."""
    numbers = tuple(
        number
        for each in children(parameters, HL7, "livingSubjectId")
        for value in children(each, HL7, "value")
        if (number := read_ii(value))
    )
    gender = h(parameters, "livingSubjectAdministrativeGender/value")
    born = h(parameters, "livingSubjectBirthTime/value")
    birth_date = None if born is None else birth_date_of(born.get("value", ""))
    if born is not None and birth_date is None:
        raise InvalidValue("livingSubjectBirthTime", expected="a day that exists")
    demographics = Demographics(
        name=read_name(h(parameters, "livingSubjectName/value")),
        birth_date=birth_date,
        gender="unknown" if gender is None else GENDERS.get(gender.get("code", ""), "unknown"),
    )
    return PatientInQuestion(numbers, demographics)


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
