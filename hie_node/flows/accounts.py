"""Who may come in: a person or a system of this hospital is shut out, or let in again, and the record says by whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from adapters.store.people import Client, User
from consent.requesters import Role
from hie_node.acts import Act
from registry.errors import NotFound


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


def add_user(act: Act, user: User, *, chosen: bool = False) -> None:
    """Somebody may come in from now on, and first chooses a password, unless it was `chosen` by themselves. Raises
    VersionConflict where the name is taken."""
    _changes(act, user.username, "account-made")
    act.action = "C"
    with act.unit() as unit:
        unit.people_of_the_house.add_user(replace(user, given=not chosen))


def end_sessions(act: Act, username: str) -> None:
    """Somebody is signed out everywhere, at once. Raises NotFound."""
    _replace_user(act, username, "sessions-ended", lambda user: user)


def set_role(act: Act, username: str, role: Role) -> None:
    """Somebody works as something else; they sign in again as that. Raises NotFound."""
    _replace_user(act, username, "role-changed", lambda user: replace(user, role=role))


def reset_second_factor(act: Act, username: str) -> None:
    """The next sign-in sets up a new one. Raises NotFound."""
    _replace_user(act, username, "second-factor-reset", lambda user: replace(user, totp="", totp_step=0, passkeys=()))


def set_password(act: Act, username: str, password_hash: str, *, chosen: bool = False) -> None:
    """Only the new password counts, and every session ends; one that the person has not `chosen` themselves has to be
    changed first. Raises NotFound."""
    own = chosen or act.caller.requester.subject == username

    def became(user: User) -> User:
        return replace(user, password_hash=password_hash, given=not own)

    _replace_user(act, username, "password-changed", became)


def _replace_user(act: Act, username: str, how: str, became: Callable[[User], User]) -> None:
    """Every session ends with it."""
    _changes(act, username, how)
    with act.unit() as unit:
        user = unit.people_of_the_house.user(username)
        if user is None:
            raise NotFound("account")
        unit.people_of_the_house.add_user(became(user), replace=True)
        unit.sessions.end_all_of(username)


def admit_client(act: Act, client: Client, *, replace: bool = False) -> None:
    """A system may ask for tokens from now on, or with other keys and scopes. Raises VersionConflict where it was
    admitted before."""
    _changes(act, client.client_id, "account-replaced" if replace else "account-made")
    act.action = "U" if replace else "C"
    with act.unit() as unit:
        unit.people_of_the_house.add_client(client, replace=replace)


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
