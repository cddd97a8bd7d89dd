"""The insurance file of a visit, as a hospital's own system writes it for the social-insurance portal.

Source: QĐ 130/QĐ-BYT (2023) as amended by QĐ 4750/QĐ-BYT (2023) and, for table 13, the names seen in programs
for QĐ 3176/QĐ-BYT (2024). Exporters differ, so the ways in which they do are options.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Literal

from hie_node.lab.insurance_tables import TABLES, Row
from hie_node.lab.package import table
from hie_node.lab.visits import Visit

ALL_TABLES = frozenset(TABLES)

_NAMES_3176 = {"MA_NOI_DI": "MA_CSKCB_DI", "MA_NOI_DEN": "MA_CSKCB_DEN", "PP_DIEU_TRI": "TINH_TRANG_CT"}
_FREE_TEXT = frozenset(
    {"HO_TEN", "DIA_CHI", "LY_DO_VV", "CHAN_DOAN_VAO", "CHAN_DOAN_RV", "PP_DIEU_TRI", "PP_DIEUTRI", "MO_TA"}
    | {"KET_LUAN", "TEN_THUOC", "TEN_DICH_VU", "DIEN_BIEN_LS", "QT_BENHLY", "TOMTAT_KQ", "DAU_HIEU_LS"}
    | {"HUONG_DIEU_TRI"}
)


@dataclass(frozen=True, slots=True)
class FileStyle:
    """How one exporter writes.

    nested       tables as plain XML inside NOIDUNGFILE instead of base64
    lower_case   "xml1" instead of "XML1" in LOAIHOSO
    naming       table 13 as QĐ 4750 names it or as programs for QĐ 3176 do
    cdata        free text in CDATA sections
    """

    nested: bool = False
    lower_case: bool = False
    naming: Literal["4750", "3176"] = "4750"
    cdata: bool = False


def insurance_file(
    visits: Sequence[Visit], *, style: FileStyle | None = None, tables: frozenset[str] = ALL_TABLES
) -> bytes:
    """One GIAMDINHHS document with one HOSO per visit; all visits are of one facility.

    A table without a row is left out, as exporters do; table 1 is always there.
    """
    style = style or FileStyle()
    facilities = {visit.facility_code for visit in visits}
    if len(facilities) != 1:
        raise ValueError(f"an insurance file is of one facility, received {len(facilities)}")
    records = "".join(_record(visit, style, tables | {"XML1"}) for visit in visits)
    made = max(visit.left for visit in visits) + timedelta(hours=1)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facilities.pop()}</MACSKCB></THONGTINDONVI>"
        f"<THONGTINHOSO><NGAYLAP>{made:%Y%m%d}</NGAYLAP><SOLUONGHOSO>{len(visits)}</SOLUONGHOSO>"
        f"<DANHSACHHOSO>{records}</DANHSACHHOSO></THONGTINHOSO><CHUKYDONVI/></GIAMDINHHS>\n"
    ).encode()


def _record(visit: Visit, style: FileStyle, tables: frozenset[str]) -> str:
    files = ""
    for name, rows_of in TABLES.items():
        rows = rows_of(visit) if name in tables else ()
        if rows:
            files += _file(name, _table(name, rows, style), style)
    return f"<HOSO>{files}</HOSO>"


def _file(name: str, content: str, style: FileStyle) -> str:
    kind = name.lower() if style.lower_case else name
    if not style.nested:
        whole = f'<?xml version="1.0" encoding="utf-8"?>\n{content}'
        content = b64encode(whole.encode()).decode()
    return f"<FILEHOSO><LOAIHOSO>{kind}</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO>"


def _table(name: str, rows: Sequence[Row], style: FileStyle) -> str:
    layout = table("columns.json")[name]
    renamed = _NAMES_3176 if name == "XML13" and style.naming == "3176" else {}
    records = [_columns(row, layout["columns"], renamed, style) for row in rows]
    if layout["record"] is None:
        return f"<{layout['root']}>{records[0]}</{layout['root']}>"
    listed = "".join(f"<{layout['record']}>{record}</{layout['record']}>" for record in records)
    return f"<{layout['root']}><{layout['list']}>{listed}</{layout['list']}></{layout['root']}>"


def _columns(row: Row, columns: Sequence[str], renamed: Mapping[str, str], style: FileStyle) -> str:
    if unknown := set(row) - set(columns):
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    return "".join(_element(renamed.get(name, name), row.get(name), style) for name in columns)


def _element(name: str, value: object, style: FileStyle) -> str:
    text = _text(value)
    if not text:
        return f"<{name}/>"
    if style.cdata and name in _FREE_TEXT:
        inside = text.replace("]]>", "]]]]><![CDATA[>")
        return f"<{name}><![CDATA[{inside}]]></{name}>"
    return f"<{name}>{escape(text, quote=False)}</{name}>"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y%m%d%H%M}"
    if isinstance(value, date):
        return f"{value:%Y%m%d}"
    return str(value)
