"""All pages at the house door, and which addresses are theirs."""

from __future__ import annotations

import gzip
import mimetypes
from functools import cache, partial

from flask import Flask, Response, request

from hie_node.house import House
from hie_node.web import (
    account,
    alarms,
    consents,
    disclosures,
    documents,
    emergencies,
    files,
    foreseen,
    held,
    ledger,
    login,
    node,
    one_page,
    ordering,
    pairs,
    passkeys,
    patients,
    provider,
    quarantine,
    referrals,
    registrar,
    sealed,
    signing,
    studies,
    viewer,
)
from hie_node.web.front import HEADERS, serve
from hie_node.web.rendering import STATIC, static_file, static_path

PAGES = (
    *login.PAGES,
    *account.PAGES,
    *passkeys.PAGES,
    *provider.PAGES,
    *patients.PAGES,
    *documents.PAGES,
    *studies.PAGES,
    *viewer.PAGES,
    *consents.PAGES,
    *signing.PAGES,
    *foreseen.PAGES,
    *held.PAGES,
    *registrar.PAGES,
    *quarantine.PAGES,
    *pairs.PAGES,
    *files.PAGES,
    *referrals.PAGES,
    *node.PAGES,
    *disclosures.PAGES,
    *sealed.PAGES,
    *emergencies.PAGES,
    *alarms.PAGES,
    *ordering.PAGES,
    *one_page.PAGES,
    *ledger.PAGES,
)
OF_OTHERS = (
    "/fhir",
    "/network",
    "/dicomweb",
    "/oauth",
    "/.well-known",
    "/xds",
    "/xca",
    "/xcpd",
    "/pix",
    "/pdq",
    "/cds-services",
    "/me",
)
"""Bases whose errors have a form of their own."""


def mount(app: Flask, house: House) -> None:
    """Every page by its row."""
    for page in PAGES:
        app.add_url_rule(
            page.path,
            endpoint=f"page {page.method} {page.path}",
            view_func=partial(serve, house, page),
            methods=[page.method],
            provide_automatic_options=False,
        )
    for name in STATIC:
        app.add_url_rule(static_path(name), f"static {name}", partial(_static, name))


def owns(path: str) -> bool:
    """Whether somebody at a browser reads what this path answers."""
    return not any(path == base or path.startswith(base + "/") for base in OF_OTHERS)


def _static(name: str) -> Response:
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    packed = request.accept_encodings["gzip"] > 0
    answer = Response(_packed(name) if packed else static_file(name), content_type=f"{kind}; charset=utf-8")
    answer.headers.update(HEADERS | {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"})
    if packed:
        answer.headers["Content-Encoding"] = "gzip"
    return answer


@cache
def _packed(name: str) -> bytes:
    """A quarter of it, packed once. Only our own files are: packing what is secret beside what is not tells lengths."""
    return gzip.compress(static_file(name), mtime=0)
