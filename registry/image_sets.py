"""Images asked for one by one, by study, series and object, as a manifest lists them.

Source: IHE RAD TF-2: 4.69 (Retrieve Imaging Document Set), 4.75 (Cross Gateway Retrieve Imaging Document Set)
"""

from __future__ import annotations

from dataclasses import dataclass

from registry.commands import DocumentAsked


@dataclass(frozen=True, slots=True)
class ImageAsked:
    """One object of a study; the uniqueId of `document` is its SOP Instance UID."""

    study_instance_uid: str
    series_instance_uid: str
    document: DocumentAsked

    @property
    def sop_instance_uid(self) -> str:
        return self.document.unique_id.removeprefix("urn:oid:")


@dataclass(frozen=True, slots=True)
class RetrieveImages:
    """RAD-69 and RAD-75. `syntaxes`: transfer syntaxes that are accepted. Answered with RetrievedDocuments."""

    wanted: tuple[ImageAsked, ...]
    syntaxes: frozenset[str]
