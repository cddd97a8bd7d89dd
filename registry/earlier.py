"""An examination that was done before, wherever: its images and its report brought together, as far as they are listed.

What other hospitals listed is kept without its instances: a rule needs to know how many there are, not which.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from registry.documents import DocumentEntry
from registry.examinations import Examination, Service
from registry.identifiers import HomeCommunityId
from registry.performed import COMPARED, Performed, as_performed
from registry.studies import Series, Study


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study without its instances; `images` says how many each series has."""

    study: Study
    images: tuple[int, ...] = ()


def listed(study: Study) -> ListedStudy:
    """The study as it is remembered."""
    bare = tuple(replace(series, instances=()) for series in study.series)
    return ListedStudy(replace(study, series=bare), tuple(len(series.instances) for series in study.series))


@dataclass(frozen=True, slots=True)
class Earlier:
    """One CT or MRI as it was performed once.

    examination  None where neither code nor header tells which
    service      the row of the price list behind its code: it tells the scanner class
    images       how many images there are; 0 where only a report is known
    conclusion   of its report, as far as it is known without opening it
    learnt       when another hospital listed it; None for this hospital's own
    """

    home: HomeCommunityId
    performed: datetime | None
    examination: Examination | None
    title: str = ""
    service: Service | None = None
    study_id: str = ""
    study_instance_uid: str = ""
    images: int = 0
    series: tuple[Series, ...] = ()
    reports: tuple[DocumentEntry, ...] = ()
    learnt: datetime | None = None
    conclusion: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Registry ids of all that it consists of."""
        return (*((self.study_id,) if self.study_id else ()), *(report.id for report in self.reports))


def bring_together(
    studies: Iterable[ListedStudy],
    documents: Iterable[DocumentEntry],
    *,
    here: HomeCommunityId,
    learnt: datetime | None = None,
) -> tuple[Earlier, ...]:
    """The examinations behind these studies and reports of one hospital; what is neither CT nor MRI is left out."""
    kept = [one for one in studies if COMPARED & set(one.study.modalities)]
    images = {one.study.id: sum(one.images) for one in kept}
    performed = as_performed([one.study for one in kept], documents, here=here)
    return tuple(_earlier(one, images, learnt) for one in performed if one.study is not None or one.is_compared)


def _earlier(one: Performed, images: Mapping[str, int], learnt: datetime | None) -> Earlier:
    study = one.study
    return Earlier(
        one.home,
        one.performed,
        one.examination,
        one.title,
        one.service,
        study.id if study else "",
        study.study_instance_uid if study else "",
        images[study.id] if study else 0,
        study.series if study else (),
        one.reports,
        learnt,
        next((report.description for report in one.reports if report.description), ""),
    )
