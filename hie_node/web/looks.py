"""How facts look on a page: dates as people here write them, ages in words, numbers masked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hie_node.web.remarks import spoken
from hie_node.web.wording import Language, say, wordings
from registry.documents import DocumentEntry
from registry.examinations import Examination
from registry.identifiers import CITIZEN_ID, INSURANCE_NUMBER, NATIONAL_ID, PASSPORT_NUMBER, PatientIdentifier, mask
from registry.levels import FIELDS
from registry.local_time import VIET_NAM
from registry.people import BirthDate, PatientInQuestion, SourceRecord

_WEIGHED = re.compile(rf"({'|'.join(FIELDS)}) (.+) ([+-][\d.]+) bits")
_AGAINST = re.compile(r"([+-][\d.]+) bits against a (\w+)")
_SAID_OTHERWISE = frozenset({"personal number", "local number"})
"""Fields of which the evidence has a sentence of its own, or that differ by nature."""
NUMBERS = {
    NATIONAL_ID: "number.national",
    CITIZEN_ID: "number.citizen",
    INSURANCE_NUMBER: "number.insurance",
    PASSPORT_NUMBER: "number.passport",
}


@dataclass(frozen=True, slots=True)
class Looks:
    """One language, one moment."""

    language: Language
    now: datetime

    def say(self, key: str, **facts: object) -> str:
        return say(self.language, key, **facts)

    def known(self, key: str, otherwise: str) -> str:
        """The wording of a code, or the code itself where no wording is known."""
        return say(self.language, key) if key in wordings() else otherwise

    def day(self, moment: datetime | None) -> str:
        return moment.astimezone(VIET_NAM).strftime("%d/%m/%Y") if moment else self.say("when.unknown")

    def minute(self, moment: datetime | None) -> str:
        return moment.astimezone(VIET_NAM).strftime("%d/%m/%Y %H:%M") if moment else self.say("when.unknown")

    def age(self, moment: datetime | None) -> str:
        """How long ago, as it is said: 3 days, 5 weeks, 7 months, 2 years."""
        if moment is None:
            return ""
        days = (self.now.astimezone(VIET_NAM).date() - moment.astimezone(VIET_NAM).date()).days
        if days < 0:
            return self.say("age.future")
        if days < 2:
            return self.say("age.today" if days == 0 else "age.yesterday")
        for unit, length, upto in (("days", 1, 21), ("weeks", 7, 60), ("months", 30.44, 731)):
            if days < upto:
                return self.say(f"age.{unit}", n=int(days / length))
        return self.say("age.years", n=int(days / 365.25))

    def feed(self, feed: str) -> str:
        """`hl7v2 HIS|BV_BN` with the kind in words; the name of a sender is its own."""
        kind, _, sender = feed.partition(" ")
        return " ".join(filter(None, (self.known(f"feed.name.{kind}", kind), sender)))

    def remark(self, text: str) -> tuple[str, bool]:
        """What a reader remarked about a file, and whether it is in this language."""
        said = spoken(text, self.language)
        return (said, True) if said else (text, self.language == "en")

    def evidence(self, line: str) -> str:
        """`given name same +8.9 bits` as a person reads it."""
        if against := _AGAINST.fullmatch(line):
            return self.say("weighed.against", bits=self._comma(against[1]), rival=self.say(f"rival.{against[2]}"))
        if weighed := _WEIGHED.fullmatch(line):
            field, level = self.say(f"weighed.{weighed[1]}"), self.known(f"level.{weighed[2]}", weighed[2])
            return self.say("weighed.field", field=field, level=level, bits=self._comma(weighed[3]))
        return self.known(f"evidence.{line}", line)

    def doubts(self, evidence: Sequence[str]) -> list[str]:
        """What speaks for a look at two records, without the weights; where nothing does, what agrees."""
        weighed = [found for line in evidence if (found := _WEIGHED.fullmatch(line))]
        plain = [line for line in evidence if not _WEIGHED.fullmatch(line) and not _AGAINST.fullmatch(line)]
        apart = [one for one in weighed if one[2] != "same" and one[1] not in _SAID_OTHERWISE]
        said = [self._level(one) for one in apart or ([] if plain else weighed)]
        return [*(self.evidence(line) for line in plain), *said]

    def _level(self, weighed: re.Match[str]) -> str:
        return f"{self.say(f'weighed.{weighed[1]}')}: {self.known(f'level.{weighed[2]}', weighed[2])}"

    def _comma(self, figure: str) -> str:
        return figure.replace(".", ",") if self.language == "vi" else figure

    def since(self, moment: datetime) -> str:
        """How old something that was heard is: minutes and hours matter while it is of today."""
        minutes = max(0, int((self.now - moment).total_seconds() // 60))
        if minutes < 1:
            return self.say("age.now")
        if minutes < 120:
            return self.say("age.minutes", n=minutes)
        if minutes < 48 * 60:
            return self.say("age.hours", n=minutes // 60)
        return self.age(moment)

    def born(self, birth_date: BirthDate | None) -> str:
        """As precise as it is known."""
        if birth_date is None:
            return self.say("when.unknown")
        parts = str(birth_date).split("-")
        return "/".join(reversed(parts)) if len(parts) > 1 else self.say("born.year", year=parts[0])

    def years(self, birth_date: BirthDate | None) -> str:
        """Age in years; in months below three years, as children are spoken of."""
        if birth_date is None:
            return ""
        today = self.now.astimezone(VIET_NAM).date()
        if not birth_date.is_full:
            return self.say("years.about", n=today.year - birth_date.year)
        month, day = int(birth_date.value[5:7]), int(birth_date.value[8:])
        months = (today.year - birth_date.year) * 12 + today.month - month - (today.day < day)
        return self.say("years.months", n=months) if months < 36 else self.say("years.years", n=months // 12)

    def sex(self, record: SourceRecord | PatientInQuestion) -> str:
        return self.say(f"sex.{record.demographics.gender}")

    def name(self, record: SourceRecord | PatientInQuestion) -> str:
        return record.demographics.name.text if record.demographics.name else self.say("name.unknown")

    def number(self, identifier: PatientIdentifier) -> str:
        """What kind of number, and its last three characters."""
        return f"{self.say(NUMBERS.get(identifier.system, 'number.hospital'))} {mask(identifier.value)}"

    def examination(self, examination: Examination) -> str:
        """`CT/brain/plain` as doctors say it; contrast stands apart."""
        region = self.known(f"region.{examination.region}", examination.region.replace("_", " "))
        return f"{self.known(f'modality.{examination.modality}', examination.modality)} {region}"

    def contrast(self, examination: Examination | None) -> str:
        if examination is None or examination.contrast is None:
            return ""
        return self.say("contrast.with" if examination.contrast else "contrast.without")

    def reports(self, reports: Sequence[DocumentEntry]) -> list[tuple[DocumentEntry, str]]:
        """Each with the words on its button: what tells several of one examination apart is their form."""
        forms = [self._form(one.attachment.content_type, alone=len(reports) == 1) for one in reports]
        told = []
        for place, (one, form) in enumerate(zip(reports, forms, strict=True)):
            number = f" {forms[: place + 1].count(form)}" if forms.count(form) > 1 else ""
            told.append((one, f"{self.say('open.report')}{form}{number}"))
        return told

    def _form(self, content_type: str, *, alone: bool) -> str:
        if "pdf" in content_type:
            return " (PDF)"
        return f" ({self.say('report.text')})" if content_type.startswith("text/plain") and not alone else ""

    def size(self, size: int) -> str:
        """Bytes for people, with the comma of this country."""
        if size < 1 << 20:
            return f"{max(1, round(size / 1024))} KB"
        return self._comma(f"{size / (1 << 20):.1f} MB")

    def figure(self, written: str) -> str:
        """A number with the comma of this country: 1,25."""
        return self._comma(written)

    def seconds(self, seconds: float) -> str:
        return self._comma(f"{seconds:.1f}")
