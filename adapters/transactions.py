"""A transaction: one message exchange of a standard, as a row. The pipeline does the rest.

Authentication, scope, consent, audit, limits and error bodies belong to `hie_node/pipeline.py`; a transaction cannot
forget them, since it never sees them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from adapters.wire import WireRequest, WireResponse

Door = Literal["house", "network", "peer"]
Family = Literal["fhir", "dicomweb", "cds", "xds-registry", "xds-repository", "xca", "xcpd", "pix", "pdq"]
HOUSE: frozenset[Door] = frozenset({"house"})
HOUSE_AND_NETWORK: frozenset[Door] = frozenset({"house", "network"})
HOUSE_AND_PEER: frozenset[Door] = frozenset({"house", "peer"})
NETWORK: frozenset[Door] = frozenset({"network"})
PEER: frozenset[Door] = frozenset({"peer"})
EVERYWHERE: frozenset[Door] = frozenset({"house", "network", "peer"})
UNEXPECTED = 500
"""What each language answers to an error that is in no table."""
REFERENCE_HEADER = "Fault-Reference"
"""With such an answer: by it the administrator finds the line in the log."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One row of the catalogue.

    name       as its standard names it: ITI-67
    source     standard and section
    route      method and path below the base of its family; `<id>` is a placeholder
    command    what `decode` returns; the flow is found by its type
    decode     request to command; raises the errors of `errors`
    encode     result of the flow to response
    error      any exception of the rooms to a response in the standard's own form
    scope      SMART scope that the caller needs: resource type and one of c, r, u, d, s
    doors      where it can be asked
    discloses  whether its answer shows something of a patient, so that it must be recorded
    family     `fhir`, `dicomweb`, `cds`, or one of SOAP's services: the base path and the error language
    bundle     of a FHIR Bundle sent to the base: its type; several share the address. A scope without a name means
               that each entry needs its own
    action     of a SOAP message (wsa:Action): several transactions share one address
    open_to_all  answered without a token: what a client has to know before it can get one
    form       accepts the same parameters as application/x-www-form-urlencoded (FHIR `_search`)
    """

    name: str
    title: str
    source: str
    route: tuple[str, str]
    command: type
    decode: Callable[[WireRequest], Any]
    encode: Callable[[Any, WireRequest], WireResponse]
    error: Callable[[Exception, WireRequest], WireResponse]
    scope: tuple[str, str]
    doors: frozenset[Door] = HOUSE
    discloses: bool = True
    family: Family = "fhir"
    action: str = ""
    bundle: str = ""
    form: bool = False
    open_to_all: bool = False
