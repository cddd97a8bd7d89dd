"""The narrative of a resource: a small, passive part of XHTML, a text in JSON and an element in XML.

Source: HL7 FHIR R4, 2.4 Narrative, invariants txt-1 and txt-2, https://hl7.org/fhir/R4/narrative.html
"""

from __future__ import annotations

import re
from copy import deepcopy
from html.entities import name2codepoint

from lxml import etree

from adapters.fhir.structure import narrative_attributes, narrative_elements
from adapters.xml_door import XmlElement, XmlMalformed, XmlRefused, parse_xml_bytes

XHTML = "http://www.w3.org/1999/xhtml"
DIV = f"{{{XHTML}}}div"
# Below that of a whole body, so that a resource with its narrative inside can be read again as XML.
MAX_DEPTH = 48

_XML = "{http://www.w3.org/XML/1998/namespace}"
_NAMED_CHARACTER = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]{1,8});")
_ACTIVE_LINK = re.compile(r"(?:javascript|vbscript|data(?!:image/(?:png|jpe?g|gif);)):", re.IGNORECASE)


def parse_narrative(div: str) -> XmlElement:
    """The div as an element. Raises XmlRefused: not well-formed, or not a div of XHTML.

    Named characters of HTML (`&nbsp;`) are read although XML has none of them: other systems write them.
    """
    spelled = _NAMED_CHARACTER.sub(_character, div)
    root = parse_xml_bytes(spelled.encode("utf-8"), max_depth=MAX_DEPTH)
    if root.tag != DIV:
        raise XmlMalformed("the narrative is not a div of XHTML")
    return root


def narrative_text(div: XmlElement) -> str:
    """The div as JSON carries it; namespaces that only the surrounding document needed are left out."""
    alone = deepcopy(div)
    etree.cleanup_namespaces(alone)
    return str(etree.tostring(alone, encoding="unicode", with_tail=False))


def fault_of_narrative(div: str) -> str | None:
    """What txt-1 or txt-2 has against this div, None if nothing."""
    try:
        root = parse_narrative(div)
    except XmlRefused as error:
        return f"the narrative cannot be read: {error.reason}"
    elements, attributes = narrative_elements(), narrative_attributes() | {_XML + "lang", _XML + "id"}
    for element in root.iter():
        name = etree.QName(element)
        if name.namespace != XHTML or name.localname not in elements:
            return "the narrative has an element that FHIR does not permit there"
        if not attributes.issuperset(element.attrib):
            return "the narrative has an attribute that FHIR does not permit there"
        if any(_is_active(element.get(link, "")) for link in ("href", "src")):
            return "the narrative has a link that runs a program"
    if not "".join(root.itertext()).strip() and root.find(f".//{{{XHTML}}}img") is None:
        return "the narrative says nothing"
    return None


def _is_active(link: str) -> bool:
    # Browsers skip white space and control characters inside a scheme.
    return _ACTIVE_LINK.match(re.sub(r"[\x00-\x20]+", "", link)) is not None


def _character(found: re.Match[str]) -> str:
    code = name2codepoint.get(found.group(1))
    return chr(code) if code else found.group()
