"""The viewer: a page, what a study consists of, its pictures, and a small picture of each series.

The page is opened from a link of the patient's history, which carries a permission: sealed, for this person, this
study and half an hour. With it the page's script asks for lists and pictures; each time the holder decides anew, and
each answer is in the record of disclosures, as at every other door.

A browser reads pixels that are not packed, and JPEG of eight bits. What is packed otherwise is unpacked here, in a
process that is locked away, and keeps every number that it has.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from flask import Response

from adapters.dicom.errors import PROBLEM
from adapters.dicom.multipart import DICOM, Writer
from adapters.dicom.part10 import file_meta
from adapters.wire import Pairs
from hie_node.flows.draw import draw_image_anywhere, images_of, read_study_by_uid, whole
from hie_node.flows.fetch import fetch_study
from hie_node.page_tokens import open_page, seal_page
from hie_node.pictures import Pencil, pencil
from hie_node.web.documents import about
from hie_node.web.front import Page, Refused, Visit
from hie_node.web.looks import Looks
from hie_node.web.patients import TREATING
from registry.commands import DrawImage, DrawnImage, RetrieveStudy
from registry.errors import InvalidIdentifier, NotDrawable, NotFound, Unreadable
from registry.identifiers import check_uid
from registry.studies import PictureWish, Series, Study

AT_MOST = 2
"""Studies beside each other."""
PERMISSION_LIFE = 1800
"""Seconds that the page may ask for pictures before it has to be opened again."""
HEAD = 4096
"""Bytes of a file in which its transfer syntax stands."""
READ_BY_BROWSERS = frozenset(
    {
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.4.50",
    }
)
"""Transfer syntaxes: three plain ones, the deflated one, and JPEG of eight bits."""
_WORDS = (
    *("slice", "images", "thickness", "waiting", "undrawable", "full", "gone", "silent", "broken", "ended"),
    *("busy", "empty", "noReport", "detector", "comma"),
)


def viewer_page(visit: Visit) -> Response:
    """One study, or two beside each other; each as the link said it."""
    links = visit.request.args.getlist("f")[:AT_MOST]
    told = [(link, visit.facts_in(link)) for link in links]
    opened = [(link, facts) for link, facts in told if facts.get("study")]
    if not opened:
        raise NotFound("study")
    patients = {facts.get("record", "") for _, facts in opened}
    if len(patients) > 1:
        raise Refused(400, "viewer.two-patients")
    return visit.page(
        "viewer.html",
        studies=[_as_told(visit, facts) for _, facts in opened],
        reports=[(link, facts, one) for link, facts in opened for one in facts.get("reports", "").split()],
        words={name: visit.looks.say(f"viewer.{name}") for name in _WORDS},
        json=lambda value: json.dumps(value, ensure_ascii=False),
        **about(visit, None),
    )


def _as_told(visit: Visit, facts: dict[str, str]) -> dict[str, str]:
    """What the script needs of one study before anything was asked."""
    uid = _uid(facts["study"])
    performed = facts.get("performed", "")
    return {
        "uid": uid,
        "viewing": permission(visit, uid, facts.get("record", "")),
        "title": facts.get("title", ""),
        "place": facts.get("hospital", ""),
        "day": visit.looks.day(datetime.fromisoformat(performed)) if performed else "",
    }


def permission(visit: Visit, uid: str, record_id: str) -> str:
    """That this person may ask for the pictures of this study, of this patient, for a while."""
    claims = (("study", uid), ("record", record_id), ("who", visit.user.username))
    return seal_page(visit.house, claims, use=b"viewing", life=PERMISSION_LIFE)


def _permitted(visit: Visit) -> str:
    """The study of this request; raises Refused without a permission for it.

    What this person declared for the patient, an emergency, holds here as on the page that led here.
    """
    uid = _uid(visit.params["uid"])
    try:
        granted = dict(open_page(visit.house, visit.request.args.get("v", ""), use=b"viewing"))
    except (Unreadable, ValueError, TypeError):
        granted = {}
    if (granted.get("study"), granted.get("who")) != (uid, visit.user.username):
        raise Refused(403, "viewer.ended")
    visit.params = {**visit.params, "record_id": granted["record"]}
    return uid


def _uid(text: str) -> str:
    try:
        return check_uid(text)
    except InvalidIdentifier as error:
        raise NotFound("study") from error


def study_list(visit: Visit) -> Response:
    """The series and images of a study, as its holder tells them now."""
    uid = _permitted(visit)
    study = read_study_by_uid(visit.act("view-study"), uid)
    content = orjson.dumps(
        {
            "description": study.description or "",
            "viewing": permission(visit, uid, visit.params["record_id"]),
            "series": [_listed(one, visit.looks) for one in _in_order(study)],
        }
    )
    return Response(content, content_type="application/json")


def _in_order(study: Study) -> list[Series]:
    return sorted(study.series, key=lambda one: (one.number is None, one.number or 0))


def _listed(series: Series, looks: Looks) -> dict[str, Any]:
    return {
        "uid": series.series_instance_uid,
        "modality": series.modality,
        "description": series.description or series.body_part or "",
        "thickness": looks.figure(f"{series.slice_thickness:g}") if series.slice_thickness else "",
        "contrast": series.contrast_agent or "",
        "images": [{"uid": one.sop_instance_uid, "number": one.number} for one in series.instances],
    }


def pictures(visit: Visit) -> Response:
    """The objects of a series, or one of them, as parts that a browser can read; an answer that stops was stopped."""
    sop = visit.params.get("image")
    wanted = RetrieveStudy(_permitted(visit), _uid(visit.params["series"]), _uid(sop) if sop else None)
    answer = fetch_study(visit.act("view-images"), wanted)
    writer = Writer()
    body = writer.body(_readable(images_of(answer)))
    return Response(body, content_type=writer.content_type)


def _readable(images: Iterator[Iterable[bytes]]) -> Iterator[tuple[Pairs, Iterable[bytes]]]:
    with ExitStack() as stack:
        drawing: Pencil | None = None
        for image in images:
            chunks = iter(image)
            head = _beginning(chunks)
            syntax, uid = _announced(head)
            if syntax in READ_BY_BROWSERS:
                yield (("Content-Type", DICOM),), chain([head], chunks)
                continue
            try:
                content = whole(chain([head], chunks))
                drawing = drawing or stack.enter_context(pencil())
                yield (("Content-Type", DICOM),), [drawing.plain(content)]
            except NotDrawable as error:
                drawing = None
                told = {"title": "no picture can be made of this", "detail": error.reason, "uid": uid}
                yield (("Content-Type", PROBLEM),), [orjson.dumps(told)]


def _beginning(chunks: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD:
            break
    return head


def _announced(head: bytes) -> tuple[str, str]:
    try:
        return file_meta(head)
    except Unreadable:
        return "", ""


def thumbnail(visit: Visit) -> Response:
    """A small picture of the middle of a series."""
    wish = PictureWish(viewport=(128, 128), quality=80)
    command = DrawImage(_permitted(visit), wish, _uid(visit.params["series"]))
    drawn = draw_image_anywhere(visit.act("view-thumbnail"), command)
    assert isinstance(drawn, DrawnImage)
    return Response(drawn.content, content_type=drawn.media_type)


PAGES = (
    Page("viewer", "GET", "/view", viewer_page, TREATING),
    Page("view-study", "GET", "/studies/<uid>/list", study_list, TREATING),
    Page("view-images", "GET", "/studies/<uid>/series/<series>/pictures", pictures, TREATING),
    Page("view-images", "GET", "/studies/<uid>/series/<series>/pictures/<image>", pictures, TREATING),
    Page("view-thumbnail", "GET", "/studies/<uid>/series/<series>/thumbnail", thumbnail, TREATING),
)
