"""What this language refuses by itself, beside the errors of the rooms.

SoapError
├── SoapFault             the message, or who sent it, is not accepted: answered by a fault
├── V3Refusal             a message of HL7 version 3 that cannot be carried out: answered by an acknowledgement
└── RegistryRefusal       one profile error with its code: answered inside a RegistryErrorList
    ├── MetadataFault     an object, slot or association that its profile does not allow
    └── QueryFault        a stored query that cannot be asked so
"""

from __future__ import annotations


class SoapError(Exception):
    """Base of what this language refuses."""


class SoapFault(SoapError):
    """The message is not accepted.

    code     of SOAP 1.2: Sender, Receiver, MustUnderstand, VersionMismatch
    subcode  qualified by `a:` (addressing), `wsse:` or nothing
    status   of HTTP
    """

    def __init__(self, reason: str, *, code: str = "Sender", subcode: str = "", status: int = 400) -> None:
        self.reason, self.code, self.subcode, self.status = reason, code, subcode, status
        super().__init__(reason)


class V3Refusal(SoapError):
    """A message of HL7 version 3 that says too little, or something that cannot be done.

    told      where and what was expected; nothing that was found
    number    of HL7 table 0357
    location  the element that it is about, as a path from the root of the message
    """

    def __init__(self, told: str, *, number: int = 102, location: str = "") -> None:
        self.told, self.number, self.location = told, number, location
        super().__init__(told)


class RegistryRefusal(SoapError):
    """An error of the profile: `code` as IHE ITI TF-3: Table 4.2.4.1-2 names it, `told` where and what was expected.

    location  the community that it concerns, where it is one
    """

    def __init__(self, code: str, told: str, *, location: str = "") -> None:
        self.code, self.told, self.location = code, told, location
        super().__init__(f"{code}: {told}")


class MetadataFault(RegistryRefusal):
    """An object, slot or association that its profile does not allow; nothing was stored."""

    def __init__(self, told: str, code: str = "XDSRegistryMetadataError") -> None:
        super().__init__(code, f"{told}; nothing was stored")


class QueryFault(RegistryRefusal):
    """A stored query that cannot be asked so."""
