"""A hospital in full use with a peer down, and the way to each of its pages: so that every page can be looked at.

`LOOKS` names each page by the path of its route. A route without a look is found by `test_every_page.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from adapters.store.people import User
from adapters.trust.directory import entry_of
from consent.limits import Alarm
from consent.requesters import Role
from hie_node.acts import Act, Caller
from hie_node.drop_folder import LONGEST_STEM
from hie_node.flows.heads import offer_head
from hie_node.flows.pairs import decide_pair
from hie_node.jobs import carry_checks
from hie_node.unsure_files import unsure_files
from hie_node.watching import raise_alarm
from registry.directory import Peer
from registry.documents import DocumentStatus
from registry.pairing import doubt_id
from registry.searches import DocumentSearch
from tests.house.test_referrals import THU, VISIT, refers
from tests.house.web.browser import Browser
from tests.house.web.scans import Scan
from tests.house.web.screen import Screen
from tests.lab import Hospital, Lab
from tests.papers import HOA, LAN, CtStudy, ct_report, refusal, unreviewed_report, written_request

TWIN = replace(LAN, key="0018", national_id="027158004999")
MISTAKEN = "patient: belongs to the person registered under this number, found somebody else; nothing was stored"
QUOTA = "20000 different patients today: the quota of 20000 is reached, and nothing more is shown"
BREADTH = "340 different patients today; 100 would be much already"
CANARY = "a hospital that nobody named is shown a record"
TITLES = (
    "Chụp CLVT sọ não không tiêm thuốc cản quang (từ 1-32 dãy)",
    "Chụp CLVT lồng ngực có tiêm thuốc cản quang (từ 64-128 dãy)",
    "Chụp cộng hưởng từ cột sống thắt lưng - cùng (0.2-1.5T)",
    "Siêu âm ổ bụng tổng quát",
    "Giấy ra viện",
)
CARD_OF_ANOTHER = f"{LAN.national_id}||{LAN.name}|02111961|Nữ|Bắc Ninh|01052021"
SEEN_BEFORE = Scan(LAN, uid="1.2.826.0.1.3680043.10.99.77", frame_of_reference="1.2.826.0.1.3680043.10.99.77.0")


@dataclass
class Scene:
    """Bạch Mai in full use, and what its addresses are made of."""

    hospital: Hospital
    lan: str
    thu: str
    review: str
    report: str
    held: str
    pair: str
    file: str


def furnish(lab: Lab, bach_mai: Hospital, bac_ninh: Hospital) -> Scene:
    """Many rows everywhere, a doubt, a quarantined study, an emergency, a decision, refused files; Bắc Ninh goes down
    after it has been heard."""
    lab.hospital("thai-nguyen")
    lan = bach_mai.registers(LAN)
    for person in (TWIN, HOA):
        bach_mai.registers(person)
    bac_ninh.publishes_files(Scan(LAN).files("bac-ninh"))
    bach_mai.publishes_files(SEEN_BEFORE.files("bach-mai"))
    bach_mai.publishes_files({"1.dcm": CtStudy(replace(HOA, key=LAN.key)).slices("bach-mai")[0]})
    report = _reports(bach_mai)
    held = bach_mai.publishes(unreviewed_report(HOA)).id
    bach_mai.records(written_request(LAN, to="bach-mai"))
    bach_mai.withdraws(bach_mai.records(written_request(LAN, to="bach-mai", holder="bac-ninh")))
    bach_mai.records(refusal(HOA, to="bac-ninh"))
    refers(bac_ninh)
    bac_ninh.records(written_request(THU, to="bach-mai"))
    bac_ninh.works()
    _visit_and_referral(bach_mai)
    pair = _pairs(bach_mai)
    _files(bach_mai)
    _people(bach_mai)
    _alarms(bach_mai)
    _reviewed_emergency(bach_mai)
    _work_of_the_day(bach_mai)
    for one in (bach_mai, bac_ninh):
        one.seals()
        offer_head(one.house)
    for one in bach_mai.finds_documents(LAN).ids[:1]:
        bach_mai.fetches(one)
    bach_mai.finds_studies(LAN)
    bac_ninh.goes_down()
    lab.clock.moves(by=timedelta(hours=3))
    bach_mai.finds_documents(LAN)
    with bach_mai.house.storage.read() as unit:
        review = unit.patients.reviews()[0].id
        thu = unit.patients.record(bach_mai.number_of(THU))
    assert thu is not None
    return Scene(bach_mai, lan, thu.id, review, report, held, pair, unsure_files(bach_mai.house)[0].id)


def _reports(hospital: Hospital) -> str:
    """Forty of Lan's over two years; the id of the newest."""
    now = hospital.house.now()
    for number in range(40, 0, -1):
        performed = (now - timedelta(days=17 * number)).isoformat()
        title = TITLES[number % len(TITLES)]
        hospital.publishes(
            ct_report(LAN, text=f"Mô tả lần {number}.\nKết luận: không đổi.", title=title, performed=performed)
        )
    with hospital.house.storage.read() as unit:
        record = unit.patients.record(hospital.number_of(LAN))
        assert record is not None
        search = DocumentSearch(record_ids=(record.id,), statuses=(DocumentStatus.CURRENT,), limit=1)
        return next(iter(unit.documents.find(search))).id


def _pairs(hospital: Hospital) -> str:
    """A report of Hoa that fits two studies; the doubt about one of them. Another was decided."""
    uids = [f"1.2.826.0.1.3680043.10.99.8{n}" for n in (1, 2, 3)]
    studies = [hospital.publishes_study(CtStudy(HOA, uid=uid)) for uid in uids]
    report = hospital.publishes(ct_report(HOA, title=TITLES[0], performed="2026-03-10T08:20:00+07:00")).id
    registrar = Act(hospital.house, Caller(hospital.requester(Role.REGISTRAR), "house"), "page decide-pair")
    decide_pair(registrar, doubt_id(studies[2].id, report), together=False)
    return doubt_id(studies[0].id, report)


def _visit_and_referral(hospital: Hospital) -> None:
    """A visit of Thử with laboratory values and medicines, sent on to Bắc Ninh without a request."""
    body = VISIT.replace("27001", "MINE").replace("01929", "27001").replace("MINE", "01929")
    refers(hospital, body)
    hospital.works()
    for month, value in ((3, "6.1"), (5, "8.4"), (6, "7,9"), (9, "6.6")):
        earlier = body.replace("LK-1", f"LK-{month}").replace("20261102", f"2026{month:02}14").replace("7.2", value)
        refers(hospital, earlier.replace("0417/2026", f"0{month}17/2026"))


def _files(hospital: Hospital) -> None:
    hospital.publishes_files({f"note-{n}.json": b"{}" for n in range(5)} | {"cut.xml": b"<GIAMDINHHS><HOSO>"})
    folder = hospital.house.settings.drop / "refused"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(6):
        name = f"ket-qua-ct-{number}-{'rat-dai-' * 5}.pdf"
        (folder / name).write_bytes(b"%PDF-1.4")
        reason = f"{name}: its sidecar ket-qua-ct.json is not beside it"
        (folder / f"{name[:LONGEST_STEM]}.reason.txt").write_text(reason, "utf-8")
    note = {"id": LAN.number_at(hospital.name), "name": HOA.name, "birthDate": HOA.born, "gender": HOA.gender}
    described = {"patient": note, "type": {"code": "18748-4"}, "title": TITLES[0]}
    (folder / "nham-ma.pdf").write_bytes(b"%PDF-1.4")
    (folder / "nham-ma.json").write_text(json.dumps(described), "utf-8")
    (folder / "nham-ma.pdf.reason.txt").write_text(f"nham-ma.pdf: {MISTAKEN}", "utf-8")
    (hospital.house.settings.drop / "dang-cho.pdf").write_bytes(b"%PDF-1.4")
    with hospital.house.storage.begin() as unit:
        for kind in ("notify-withdrawal", "announce-referral"):
            unit.jobs.enqueue(kind, {"home": "x"}, run_at=hospital.house.now() + timedelta(hours=9))


def _bac_ninh(hospital: Hospital) -> Peer:
    """As the list of peers knows it."""
    return next(one for one in hospital.house.directory.current().peers if one.community.facility.value == "27001")


def _alarms(hospital: Hospital) -> None:
    """One about a hospital, one about a person here, one about the node."""
    now, bac_ninh = hospital.house.now(), _bac_ninh(hospital)
    for alarm in (
        Alarm("quota", str(bac_ninh.home), QUOTA, now),
        Alarm("unusual-breadth", f"{hospital.home}#bs.thao3", BREADTH, now),
        Alarm("canary-answered", str(hospital.home), CANARY, now),
    ):
        raise_alarm(hospital.house, alarm)


def _people(hospital: Hospital) -> None:
    with hospital.house.storage.begin() as unit:
        known = unit.people_of_the_house.users()[0]
        for number in range(25):
            name = f"BS. Nguyễn Thị Phương Thảo {number}"
            unit.people_of_the_house.add_user(User(f"bs.thao{number}", known.password_hash, Role.DOCTOR, name))


def _reviewed_emergency(hospital: Hospital) -> None:
    """Declared by a doctor; the officer found that it was none."""
    doctor, officer = Browser(hospital), Browser(hospital)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds(TWIN.number_at(hospital.name))
    doctor.fills(page, page.address + "/emergency", reason="cannot-sign", text="Người nhà ở xa")
    officer.signs_in(Role.DATA_PROTECTION_OFFICER)
    queue, why = officer.opens("/emergencies"), "Người bệnh tỉnh táo và ký được"
    officer.fills(queue, "/emergencies/", finding="unjustified", text=why)


def _work_of_the_day(hospital: Hospital) -> None:
    """A doctor orders, uses what there is, and declares an emergency."""
    doctor = Browser(hospital)
    doctor.signs_in(Role.DOCTOR)
    page = doctor.finds(HOA.number_at(hospital.name))
    doctor.fills(page, page.address + "/emergency", reason="unconscious", text="Hôn mê, chưa rõ bệnh sử")
    hospital.publishes(ct_report(HOA, title=TITLES[0], performed=hospital.house.now().isoformat()))
    page = doctor.fills(doctor.finds("BA-0023"), page.address + "/order", examination=TITLES[0], diagnosis="")
    card = next(one.action for one in page._read.forms if one.action.count("/") == 4)
    doctor.fills(page, card, verdict="used", reason="")


Way = Callable[[Screen, Scene], None]


@dataclass(frozen=True)
class Look:
    """One page as one role meets it. `path` is that of its route."""

    path: str
    role: Role | None
    name: str
    go: Way


def _at(path: str, role: Role | None, name: str, address: str = "") -> Look:
    return Look(path, role, name, lambda person, scene: person.opens((address or path).format(**vars(scene))))


def _patient(person: Screen, scene: Scene) -> None:
    person.opens(f"/patients/{scene.lan}")
    person.sees(".asked .silent")


def _emergency(person: Screen, scene: Scene) -> None:
    person.opens(f"/patients/{scene.lan}")
    person.page.click("details:has([name=reason]) summary")
    person.sees("form[action$='/emergency'] button")


def _from_patient(selector: str) -> Way:
    def go(person: Screen, scene: Scene) -> None:
        _patient(person, scene)
        person.page.click(selector)
        person.page.wait_for_load_state()

    return go


def _viewer(person: Screen, scene: Scene) -> None:
    _from_patient("a[href^='/view'] >> nth=0")(person, scene)
    person.sees(".pane[data-state=done]")


def _study(person: Screen, scene: Scene) -> None:
    _viewer(person, scene)
    person.page.goto(person.page.eval_on_selector("a[href^='/studies/']", "link => link.href"))


def _course(person: Screen, scene: Scene) -> None:
    person.opens(f"/patients/{scene.thu}")
    person.page.click(".course form button")
    person.sees(".course ul.hospitals")


def _order(person: Screen, scene: Scene) -> None:
    person.opens(f"/patients/{scene.lan}")
    if not person.page.is_visible("[name=examination]"):
        person.page.click(".order summary")
    person.page.fill("[name=examination]", TITLES[0])
    person.page.click("form[action$='/order'] button")
    person.sees(".advice")


def _finds(desk: str, line: str) -> Way:
    return lambda person, _: person.finds(line, desk=desk)


def _paper(person: Screen, scene: Scene) -> None:
    person.opens(f"/consents/{scene.lan}")
    with person.page.expect_popup() as opened:
        person.page.click("button[formaction$='/paper']")
    paper = opened.value
    paper.wait_for_load_state()
    person.page = paper


def _answered_at_the_desk(name: str) -> Way:
    def go(person: Screen, scene: Scene) -> None:
        person.opens(f"/consents/{scene.lan}")
        person.page.click(f"form[action$='/{name}'] button")
        person.sees("main > h2")

    return go


def _wrong_form(person: Screen, scene: Scene) -> None:
    person.opens(f"/consents/{scene.lan}")
    person.page.eval_on_selector(
        "form[enctype]", "form => { form.noValidate = true; form.requestSubmit(form.querySelector('button.main')); }"
    )
    person.sees("[role=alert]")


def _chosen_for_images(person: Screen, scene: Scene) -> None:
    person.opens("/quarantine")
    person.page.fill("[name=patient]", HOA.number_at("bach-mai"))
    person.page.click("button[value=look]")
    person.sees("button[value=release]")


def _pairs_of(person: Screen, scene: Scene) -> None:
    person.opens("/pairs")
    person.page.fill("form[action='/pairs'] [name=number]", HOA.number_at("bach-mai"))
    person.page.click("form[action='/pairs'] button")
    person.sees("[name=report]")


def _file(person: Screen, scene: Scene) -> None:
    """A paper with a note, and the patient whom it describes chosen beside it."""
    person.opens(f"/files/{scene.file}")
    _chooses_hoa(person)


def _file_without_note(person: Screen, scene: Scene) -> None:
    person.opens("/files")
    person.page.click("a[href^='/files/']:has-text('ket-qua') >> nth=0")
    _chooses_hoa(person)


def _chooses_hoa(person: Screen) -> None:
    person.page.fill("[name=patient]", HOA.number_at("bach-mai"))
    person.page.click("button[value=look]")
    person.sees("button[value=file]")


def _log(person: Screen, scene: Scene) -> None:
    person.opens("/disclosures")
    person.page.fill("form.search [name=q]", "BA-0017")
    person.page.click("form.search button:not([data-camera])")
    person.sees("table.log")


def _log_of_a_hospital(person: Screen, scene: Scene) -> None:
    person.opens("/disclosures")
    person.page.select_option("[name=hospital]", "27001")
    person.page.click("form:has([name=hospital]) button")
    person.sees("table.log")


def _verified(person: Screen, scene: Scene) -> None:
    person.opens("/disclosures/record")
    person.page.click("form[action='/disclosures/record'] button")
    person.sees("#check [role=status]")
    carry_checks(scene.hospital.house)
    person.opens("/disclosures/record")
    person.sees("#check .note")


def _reconciled(person: Screen, scene: Scene) -> None:
    person.opens("/disclosures/record")
    person.page.select_option("[name=hospital]", "27001")
    person.page.click("form[action$='/compare'] button")
    person.sees("[role=alert]")


def _compared(person: Screen, scene: Scene) -> None:
    person.opens("/node/peers")
    entry = json.dumps(entry_of(_bac_ninh(scene.hospital)))
    person.page.fill("[name=entry]", entry)
    person.page.click("form:has(textarea) button")
    person.sees("button[name=compared]")


def _asked(person: Screen, scene: Scene) -> None:
    person.opens("/node/peers")
    person.page.click("form.above button")
    person.sees(".checks")


DOCTOR, REGISTRAR, DESK = Role.DOCTOR, Role.REGISTRAR, Role.CONSENT_DESK
ADMINISTRATOR, OFFICER = Role.ADMINISTRATOR, Role.DATA_PROTECTION_OFFICER
LOOKS = (
    _at("/login", None, "sign-in"),
    _at("/account", DOCTOR, "account"),
    _at("/prove", DOCTOR, "prove"),
    _at("/patients", DOCTOR, "search"),
    Look("/patients", DOCTOR, "search-nobody", _finds("/patients", "BA-9999")),
    Look("/patients/<record_id>", DOCTOR, "patient", _patient),
    Look("/patients/<record_id>", DOCTOR, "patient-emergency", _emergency),
    Look("/patients", DOCTOR, "search-card", _finds("/patients", CARD_OF_ANOTHER)),
    Look("/patients", DOCTOR, "search-wrong-date", _finds("/patients", "Nguyễn Thị Lan 31/02/1958")),
    _at("/patients/<record_id>", DOCTOR, "patient-visit", "/patients/{thu}"),
    Look("/patients/<record_id>/course", DOCTOR, "course", _course),
    Look("/patients/<record_id>", DOCTOR, "order", _order),
    _at("/patients/<record_id>/order/used", DOCTOR, "order-used", "/patients/{lan}/order/used"),
    _at("/patients/<record_id>/order/repeated", DOCTOR, "order-repeated", "/patients/{lan}/order/repeated"),
    _at("/patients/<record_id>/summary", DOCTOR, "one-page", "/patients/{lan}/summary"),
    _at("/patients/<record_id>/summary", DOCTOR, "one-page-visit", "/patients/{thu}/summary"),
    Look("/documents/<document_id>", DOCTOR, "report", _from_patient("a[href^='/documents'] >> nth=0")),
    Look("/view", DOCTOR, "viewer", _viewer),
    Look("/studies/<uid>", DOCTOR, "study", _study),
    _at("/referrals", DESK, "referrals"),
    _at("/consents", DESK, "consents-search"),
    _at("/consents/<record_id>", DESK, "consents", "/consents/{lan}"),
    Look("/consents/<record_id>", DESK, "consents-wrong", _wrong_form),
    Look("/consents/<record_id>", DESK, "paper", _paper),
    Look("/consents/<record_id>", DESK, "foreseen", _answered_at_the_desk("preview")),
    Look("/consents/<record_id>", DESK, "seen", _answered_at_the_desk("seen")),
    _at("/held", DOCTOR, "held"),
    _at("/held/<document_id>", DOCTOR, "held-text", "/held/{held}"),
    _at("/reviews", REGISTRAR, "reviews"),
    _at("/reviews/<review_id>", REGISTRAR, "review", "/reviews/{review}"),
    _at("/people", REGISTRAR, "people"),
    Look("/people", REGISTRAR, "people-found", _finds("/people", "027158004321")),
    _at("/people/<record_id>", REGISTRAR, "person", "/people/{lan}"),
    _at("/quarantine", REGISTRAR, "quarantine"),
    Look("/quarantine", REGISTRAR, "quarantine-chosen", _chosen_for_images),
    _at("/pairs", REGISTRAR, "pairs"),
    _at("/pairs/<pair_id>", REGISTRAR, "pair", "/pairs/{pair}"),
    Look("/pairs", REGISTRAR, "pairs-of", _pairs_of),
    _at("/files", REGISTRAR, "files"),
    Look("/files/<file_id>", REGISTRAR, "file", _file),
    Look("/files/<file_id>", REGISTRAR, "file-without-note", _file_without_note),
    _at("/node", ADMINISTRATOR, "node"),
    _at("/node/peers", ADMINISTRATOR, "peers"),
    Look("/node/peers", ADMINISTRATOR, "peers-asked", _asked),
    Look("/node/peers", ADMINISTRATOR, "peers-compared", _compared),
    _at("/node/transfers", ADMINISTRATOR, "transfers"),
    _at("/node/feeds", ADMINISTRATOR, "feeds"),
    _at("/node/people", ADMINISTRATOR, "users"),
    _at("/node/settings", ADMINISTRATOR, "settings"),
    _at("/disclosures", OFFICER, "disclosures-search"),
    Look("/disclosures", OFFICER, "disclosures", _log),
    Look("/disclosures", OFFICER, "disclosures-of-a-hospital", _log_of_a_hospital),
    Look("/disclosures/record", OFFICER, "record-verified", _verified),
    Look("/disclosures/record", OFFICER, "record-compared", _reconciled),
    _at("/emergencies", OFFICER, "emergencies"),
    _at("/alarms", OFFICER, "alarms"),
    _at("/ledger", OFFICER, "ledger"),
    _at("/no-such-page", DOCTOR, "error"),
)

NO_PAGES = {
    "/": "leads to the page of the role",
    "/login/provider": "leads to the provider of the hospital",
    "/login/provider/back": "leads to the page of the role",
    "/logout/provider": "leads to the provider of the hospital",
    "/documents/<document_id>/content": "the document itself",
    "/held/<document_id>/content": "the document itself",
    "/consents/<record_id>/<consent_id>/paper": "the paper itself",
    "/files/<file_id>/content": "the document itself",
    "/ledger.csv": "a file",
    "/ledger.pdf": "a file",
    "/node/diagnosis": "a file",
    "/node/peers/invitation": "a file",
    "/patients/<record_id>/summary.pdf": "a file",
    "/studies/<uid>/download": "a file",
    "/studies/<uid>/list": "what the viewer reads",
    "/studies/<uid>/series/<series>/pictures": "what the viewer reads",
    "/studies/<uid>/series/<series>/pictures/<image>": "what the viewer reads",
    "/studies/<uid>/series/<series>/thumbnail": "a picture",
}
"""Routes that a browser opens and that show no page of ours, with what they are instead."""
