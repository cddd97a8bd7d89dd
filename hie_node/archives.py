"""Look into the hospital's own PACS from time to time: what is new there becomes known here, and stays there."""

from __future__ import annotations

from datetime import date, timedelta

from consent.requesters import PurposeOfUse, Requester, Role
from hie_node import log, metrics
from hie_node.acts import Act, Caller
from hie_node.flows.archives import index_archived
from hie_node.house import House
from registry.errors import ArchiveUnavailable
from registry.ports import ArchivedStudy


def look(house: House, name: str, *, days: int) -> int:
    """Index what the archive has of these days and this node does not know; how many studies that were."""
    today = house.now().date()
    try:
        return look_between(house, name, today - timedelta(days=days), today + timedelta(days=1))
    except ArchiveUnavailable as trouble:
        metrics.ARCHIVED.labels("unavailable").inc()
        log.warning("archive unavailable", archive=name, reason=trouble.reason)
        return 0


def look_between(house: House, name: str, since: date, until: date) -> int:
    """Raises ArchiveUnavailable; what was indexed before stays."""
    archive, found = house.archives[name], 0
    for listed in archive.listed(since, until):
        if _is_known(house, name, listed):
            continue
        reads = list(archive.instances(listed.study_instance_uid))
        refused = index_archived(_act(house, name), name, reads) if reads else "no usable header"
        metrics.ARCHIVED.labels("refused" if refused else "indexed").inc()
        if refused:
            log.warning("study of an archive not indexed", archive=name, reason=refused)
        found += not refused
    return found


def _is_known(house: House, name: str, listed: ArchivedStudy) -> bool:
    with house.storage.read() as unit:
        study = unit.studies.by_uid(listed.study_instance_uid)
    return study is not None and (study.archive != name or study.instance_count >= listed.instances)


def _act(house: House, name: str) -> Act:
    requester = Requester(
        f"pacs:{name}", Role.SYSTEM, house.home, name, house.settings.name, purpose=PurposeOfUse.TREAT
    )
    return Act(house, Caller(requester, "house"), "look into archive", "C")
