"""The written request as paper: what, from whom, to whom, why, until when, that it is sensitive, how to withdraw.

Nothing is ticked beforehand that the desk was not told; what is not known yet is a line to write on. The page, the PDF
to print and the PDF that was signed on the screen are the same sentences (`sentences`).
Sources: Law 91/2025/QH15 Art. 9 (consent: specific, explicit, nothing ticked beforehand) and Art. 26 k2 (in writing),
decree 356/2025/NĐ-CP Art. 6 (what the person has to be told), Law 20/2023/QH15 Art. 9 (electronic writing).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from adapters.pdf import Block, Bullets, Facts, Heading, Ink, Paragraph, Signatures, write_pdf
from consent.representation import Signers, signers
from registry.answers import Community
from registry.local_time import VIET_NAM
from registry.people import SourceRecord

Language = Literal["vi", "en"]
LINE = "………………"


@dataclass(frozen=True, slots=True)
class RequestForm:
    """What the desk knows before the patient signs; empty: left to be written or ticked by hand.

    holders    whose records; `everybody` for all hospitals of the network; neither: the list with empty boxes
    recipient  the hospital that may see them
    signed_at  where it is signed, and can be taken back
    explained_by  who explained it
    represented_by  who signs for the patient, and as what
    inks       what was drawn on the screen, by who drew it; `told` says when, where and before whom
    """

    patient: SourceRecord
    recipient: str
    holders: Sequence[Community] = ()
    everybody: bool = False
    known: Sequence[Community] = ()
    days: int | None = None
    explained_by: str = ""
    signed_at: str = ""
    represented_by: str = ""
    inks: Mapping[Signers, Ink] = field(default_factory=dict)
    told: str = ""

    def needed(self, now: datetime) -> Signers:
        """Whose signature it needs, at that day in Viet Nam."""
        born, today = self.patient.demographics.birth_date, now.astimezone(VIET_NAM).date()
        return signers(born, today, represented=bool(self.represented_by))


def request_form(form: RequestForm, *, language: Language, now: datetime) -> bytes:
    """As PDF. The Vietnamese text is the one that is signed; the English one is for who does not read it."""
    words = WORDS[language]
    blocks = list(sentences(form, words, now))
    title, footer = words["title"], f"{form.recipient} · {words['basis']}"
    return write_pdf(blocks, title=title, language=language, created=now, footer=footer[:110])


def sentences(form: RequestForm, words: Mapping[str, str], now: datetime) -> Iterator[Block]:
    """Everything that is on the paper, in its order."""
    yield Paragraph(words["state"], strong=True, centred=True)
    yield Heading(words["title"], level=1)
    yield Paragraph(words["basis"], centred=True, small=True)
    yield Heading(words["1"])
    yield Facts(tuple(_patient(form, words)))
    yield Heading(words["2"])
    yield Paragraph(words["what"])
    yield Paragraph(words["sensitive"], strong=True)
    yield Paragraph(words["closed"])
    yield Heading(words["3"])
    yield from _holders(form, words)
    yield Heading(words["4"])
    yield Paragraph(words["to"].format(hospital=form.recipient))
    yield Heading(words["5"])
    yield Paragraph(words["why"])
    yield Heading(words["6"])
    yield Paragraph(words["until"].format(days=form.days or LINE))
    yield Heading(words["7"])
    yield Bullets(
        tuple(words[f"told.{n}"].format(hospital=form.signed_at or form.recipient) for n in range(1, 7)), mark="1."
    )
    needed = form.needed(now).each
    inks = tuple(form.inks.get(one) for one in needed)
    # the sentence by itself says what is signed: the signatures may stand on a page of their own
    yield Signatures(tuple(_signatures(form, words, needed)), inks if form.inks else (), said=_yes(form, words))
    if form.told:
        yield Paragraph(form.told, small=True)


def _patient(form: RequestForm, words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    record = form.patient
    said = record.demographics
    born = "/".join(reversed(str(said.birth_date).split("-"))) if said.birth_date else ""
    yield words["name"], said.name.text if said.name else ""
    yield words["born"], born
    yield words["sex"], words.get(f"sex.{said.gender}", "")
    yield words["number"], record.identifier.value
    yield words["personal"], ""
    yield words["representative"], form.represented_by


def _holders(form: RequestForm, words: Mapping[str, str]) -> Iterator[Block]:
    if form.everybody:
        yield Bullets((words["everybody"],), mark="☒")
    elif form.holders:
        yield Bullets(tuple(_named(one, words) for one in form.holders), mark="☒")
    else:
        yield Bullets((*(_named(one, words) for one in form.known), words["everybody"]), mark="☐")


def _named(one: Community, words: Mapping[str, str]) -> str:
    return f"{one.name} ({words['code']} {one.facility})"


def _yes(form: RequestForm, words: Mapping[str, str]) -> str:
    said = form.patient.demographics
    name = said.name.text if said.name else LINE
    return words["yes"].format(name=name, number=form.patient.identifier.value, hospital=form.recipient)


def _signatures(
    form: RequestForm, words: Mapping[str, str], needed: Sequence[Signers]
) -> Iterator[tuple[str, str, str]]:
    """Whoever signs on the screen can write, and needs no witness; on paper somebody else may sign in the end."""
    said = form.patient.demographics
    names = {Signers.PATIENT: said.name.text if said.name else "", Signers.REPRESENTATIVE: form.represented_by}
    for one in needed:
        yield words[f"signs.{one}"], words["signed" if form.inks else "date"], names[one] if form.inks else ""
    if not form.inks:
        if Signers.REPRESENTATIVE not in needed:
            yield words["signs.representative"], words["if any"], ""
        yield words["signs.witness"], words["witness.when"], ""
    yield words["signs.explained"], "" if form.inks else words["date"], form.explained_by


WORDS: dict[Language, dict[str, str]] = {
    "vi": {
        "state": "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM\nĐộc lập - Tự do - Hạnh phúc",
        "title": "VĂN BẢN YÊU CẦU CUNG CẤP DỮ LIỆU SỨC KHỎE",
        "basis": "Căn cứ khoản 2 Điều 26 Luật Bảo vệ dữ liệu cá nhân số 91/2025/QH15",
        "1": "1. Người bệnh",
        "name": "Họ và tên",
        "born": "Ngày, tháng, năm sinh",
        "sex": "Giới tính",
        "sex.male": "Nam",
        "sex.female": "Nữ",
        "sex.other": "Khác",
        "number": "Mã người bệnh",
        "personal": "Số định danh cá nhân",
        "representative": "Người đại diện hợp pháp, quan hệ với người bệnh (nếu có)",
        "2": "2. Tôi yêu cầu cung cấp dữ liệu gì",
        "what": "Dữ liệu sức khỏe trong hồ sơ bệnh án của tôi: kết quả chẩn đoán hình ảnh (kết luận và hình ảnh), "
        "kết quả cận lâm sàng, chẩn đoán, thuốc đã dùng, tóm tắt hồ sơ bệnh án, giấy ra viện, phiếu chuyển cơ sở "
        "khám bệnh, chữa bệnh.",
        "sensitive": "Tôi đã được cho biết đây là dữ liệu cá nhân nhạy cảm.",
        "closed": "Dữ liệu mà pháp luật hạn chế tiếp cận, như thông tin về HIV, không được cung cấp theo văn bản này.",
        "3": "3. Bên cung cấp",
        "code": "mã",
        "everybody": "Tất cả cơ sở khám bệnh, chữa bệnh tham gia mạng liên thông dữ liệu y tế",
        "4": "4. Bên nhận",
        "to": "{hospital}, chỉ những người hành nghề trực tiếp khám, điều trị và chăm sóc tôi.",
        "5": "5. Mục đích",
        "why": "Khám bệnh, chữa bệnh cho tôi. Không dùng cho mục đích khác.",
        "6": "6. Thời hạn",
        "until": "{days} ngày kể từ ngày ký. Hết thời hạn này, yêu cầu không còn hiệu lực.",
        "7": "7. Tôi đã được giải thích",
        "told.1": "Việc yêu cầu này là tự nguyện. Nếu không yêu cầu, tôi vẫn được khám bệnh, chữa bệnh; bác sĩ có thể "
        "không xem được kết quả cũ và có thể phải chỉ định thực hiện lại.",
        "told.2": "Tôi có quyền rút lại yêu cầu này bất cứ lúc nào tại {hospital}, không cần nêu lý do. Việc rút lại "
        "có hiệu lực ngay với lần truy cập tiếp theo và không ảnh hưởng đến việc đã xem trước đó.",
        "told.3": "Mỗi lần xem đều được ghi vào nhật ký truy cập. Tôi có quyền biết ai đã xem hồ sơ của tôi, yêu cầu "
        "chỉnh sửa, hạn chế, xóa dữ liệu, khiếu nại và báo cáo truy cập sai.",
        "told.4": "Dữ liệu được mã hóa khi truyền; bên nhận không được cung cấp lại cho bên khác.",
        "told.5": "Trong trường hợp khẩn cấp đe dọa tính mạng, người hành nghề có thể xem dữ liệu mà không cần văn bản "
        "này; mỗi lần như vậy được báo và xem xét lại.",
        "told.6": "Văn bản đã ký được lưu làm bằng chứng; mã kiểm tra của nó được gửi kèm yêu cầu đến bên cung cấp.",
        "yes": "Tôi đã đọc, hoặc được đọc cho nghe, hiểu rõ và yêu cầu cung cấp dữ liệu sức khỏe của người bệnh {name} "
        "(mã {number}) cho {hospital} như trên.",
        "signs.patient": "Người yêu cầu",
        "signs.representative": "Người đại diện",
        "signs.witness": "Người làm chứng",
        "witness.when": "(nếu người bệnh không viết được)",
        "signs.explained": "Người giải thích",
        "date": "(ngày, ký, ghi rõ họ và tên)",
        "if any": "(nếu có)",
        "signed": "(ký trên màn hình)",
        "told": "Ký trên màn hình lúc {when} tại {hospital}, trước {who}.",
    },
    "en": {
        "state": "SOCIALIST REPUBLIC OF VIET NAM\nIndependence - Freedom - Happiness",
        "title": "WRITTEN REQUEST TO PROVIDE HEALTH DATA",
        "basis": "Under Article 26, clause 2 of the Personal Data Protection Law No. 91/2025/QH15",
        "1": "1. Patient",
        "name": "Full name",
        "born": "Date of birth",
        "sex": "Sex",
        "sex.male": "Male",
        "sex.female": "Female",
        "sex.other": "Other",
        "number": "Patient number",
        "personal": "Personal identification number",
        "representative": "Legal representative and relation to the patient (if any)",
        "2": "2. What I request to be provided",
        "what": "Health data in my medical record: results of diagnostic imaging (conclusion and images), laboratory "
        "results, diagnoses, medicines, record summaries, discharge papers, referral slips.",
        "sensitive": "I was told that these are sensitive personal data.",
        "closed": "Data that the law closes, such as information about HIV, are not provided under this request.",
        "3": "3. Who provides them",
        "code": "code",
        "everybody": "All health facilities of the health information exchange",
        "4": "4. Who receives them",
        "to": "{hospital}, and there only practitioners who examine, treat and care for me.",
        "5": "5. Purpose",
        "why": "My examination and treatment. They are not used for anything else.",
        "6": "6. Period",
        "until": "{days} days from the day of signing. After that this request is void.",
        "7": "7. It was explained to me",
        "told.1": "This request is voluntary. Without it I am treated all the same; the doctor may be unable to see "
        "earlier results and may have to order examinations again.",
        "told.2": "I may withdraw this request at any time at {hospital}, without a reason. It counts at once for the "
        "next access and does not undo what was seen before.",
        "told.3": "Each access is recorded. I have the right to know who saw my record, to have it corrected, "
        "restricted or erased, to complain, and to report wrongful access.",
        "told.4": "Data are encrypted on their way; who receives them may not hand them on.",
        "told.5": "In an emergency that threatens life, practitioners may see data without this request; each such "
        "access is reported and reviewed.",
        "told.6": "The signed request is kept as proof; its checksum goes with the request to who provides the data.",
        "yes": "I have read this, or it was read to me, I understand it, and I request as above that the health data "
        "of the patient {name} (number {number}) are provided to {hospital}.",
        "signs.patient": "Patient",
        "signs.representative": "Representative",
        "signs.witness": "Witness",
        "witness.when": "(if the patient cannot write)",
        "signs.explained": "Explained by",
        "if any": "(if any)",
        "date": "(date, signature, full name)",
        "signed": "(signed on the screen)",
        "told": "Signed on the screen at {when}, at {hospital}, before {who}.",
    },
}
