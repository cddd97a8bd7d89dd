"""Notices that cannot wait: to the data protection officer by mail, to a patient by the hospital's own text messages.

Each is also a file in the outbox, so that nothing depends on a mail server. No notice says whose record it was to
anybody but the patient: the officer finds that in the review queue, behind a login.
"""

from __future__ import annotations

import json
from typing import Any

from adapters.mail import MailNotSent, MailServer, send
from adapters.trust.files import write_whole
from consent.emergency import EmergencyAccess
from consent.limits import Alarm
from hie_node.house import House
from registry.local_time import VIET_NAM

PASSWORD_FILE = "smtp-password"  # noqa: S105 - the name of a file
REASONS = {
    "unconscious": "người bệnh bất tỉnh",
    "threat-to-life": "đe dọa tính mạng",
    "cannot-sign": "người bệnh không thể ký",
    "disaster": "thảm họa",
    "other": "lý do khác",
}


def tell_officer(house: House, access: EmergencyAccess) -> str | None:
    """Of one emergency: who, from where, when and why in general; None when it is out, else why not."""
    hospital = _hospital(house, access)
    due = access.due.astimezone(VIET_NAM).strftime("%d/%m/%Y")
    text = (
        f"Truy cập khẩn cấp tại {house.settings.name}.\n\n"
        f"Mã: {access.id}\nBắt đầu: {_local(access)}\nNgười khai báo: {access.name or access.subject}"
        f" ({access.role.value}), {hospital}\nLý do: {REASONS[access.reason.value]}\n"
        f"Hạn xem xét: trước ngày {due}.\n\n"
        "Xem và kết luận tại trang Truy cập khẩn cấp, hoặc: hie consent emergencies\n"
    )
    return _send(house, f"emergency-{access.id}", "Truy cập khẩn cấp cần xem xét", text)


def tell_patient(house: House, access: EmergencyAccess, phones: tuple[str, ...]) -> None:
    """A file for the hospital's sender of text messages: that it happened, and whom to ask. Nothing of the record."""
    if not (house.settings.notices.patients and phones):
        return
    text = (
        f"{house.settings.name}: hồ sơ sức khỏe của bạn được mở trong tình huống khẩn cấp lúc {_local(access)}. "
        "Nếu có thắc mắc, xin liên hệ người phụ trách bảo vệ dữ liệu của bệnh viện."
    )
    _put(house, f"patient-{access.id}", {"to": phones[0], "text": text})


def tell_of_alarm(house: House, alarm: Alarm) -> str | None:
    """Of an alarm, in the administrator's own words."""
    text = f"{house.settings.name}\n\n{alarm.kind}: {alarm.found}\n({alarm.about})\n\nhie audit alarms\n"
    return _send(house, f"alarm-{alarm.id}".replace(":", "_"), f"hie-node: {alarm.kind}", text)


def _hospital(house: House, access: EmergencyAccess) -> str:
    if access.home == house.home:
        return house.settings.name
    peer = house.directory.current().peer(access.home)
    return peer.community.name if peer else str(access.home)


def _local(access: EmergencyAccess) -> str:
    return access.declared.astimezone(VIET_NAM).strftime("%H:%M ngày %d/%m/%Y")


def _send(house: House, name: str, subject: str, text: str) -> str | None:
    chosen = house.settings.notices
    _put(
        house, name, {"to": chosen.officer or house.settings.data_protection_officer, "subject": subject, "text": text}
    )
    if not chosen.smtp_host:
        return None
    password = ""
    if chosen.smtp_user:
        password = (house.settings.keys / PASSWORD_FILE).read_text("utf-8").strip()
    server = MailServer(
        chosen.smtp_host, chosen.smtp_port, chosen.smtp_security, chosen.sender, chosen.smtp_user, password
    )
    try:
        send(server, to=chosen.officer, subject=subject, text=text, at=house.now(), message_id=name)
    except MailNotSent as failure:
        return failure.reason
    return None


def _put(house: House, name: str, notice: dict[str, Any]) -> None:
    """A file that is there whole or not at all, under a name that says nothing."""
    house.settings.outbox.mkdir(mode=0o700, exist_ok=True)
    content = json.dumps({**notice, "at": house.now().isoformat()}, ensure_ascii=False).encode()
    write_whole(house.settings.outbox / f"{name}.json", content)
