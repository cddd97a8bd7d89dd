"""Who may come in: a person or a system of this hospital is shut out, or let in again, and the record says by whom."""

from __future__ import annotations

from hie_node.acts import Act


def disable_user(act: Act, username: str) -> None:
    """Somebody is let in no more; their sessions end at once. Raises NotFound."""
    _changes(act, username, "account-disabled")
    with act.unit() as unit:
        unit.people_of_the_house.disable_user(username)
        unit.sessions.end_all_of(username)


def enable_user(act: Act, username: str) -> None:
    """Somebody may sign in again, as they were: with their role, password and second factor. Raises NotFound."""
    _changes(act, username, "account-enabled")
    with act.unit() as unit:
        unit.people_of_the_house.enable_user(username)


def disable_client(act: Act, client_id: str) -> None:
    """A system gets no more tokens; those it has end within five minutes. Raises NotFound."""
    _changes(act, client_id, "account-disabled")
    with act.unit() as unit:
        unit.people_of_the_house.disable_client(client_id)


def enable_client(act: Act, client_id: str) -> None:
    """A system gets tokens again, for what it was admitted for. Raises NotFound."""
    _changes(act, client_id, "account-enabled")
    with act.unit() as unit:
        unit.people_of_the_house.enable_client(client_id)


def _changes(act: Act, account: str, how: str) -> None:
    act.direction, act.action = "changed", "U"
    act.items.append(account)
    act.reasons[how] += 1
