"""Who may log in at this hospital: people with a password, and systems with keys (SMART Backend Services 2.2)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Table, bindparam, select, update

from adapters.store.codec import dump
from adapters.store.rows import Part, insert_once, upsert
from adapters.store.schema import client, user
from consent.requesters import PurposeOfUse, Role
from registry.errors import NotFound, VersionConflict


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key that a device keeps for somebody (WebAuthn), as base64url; `count` is its last signature counter."""

    id: str
    public_key: str
    count: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class User:
    """A person of this hospital. `password_hash` is argon2id's own text, never the password.

    totp       the secret of one-time codes, sealed under a key that is not in the database; `totp_step` the last used
    provider   who vouches for this person instead of a password: issuer and subject of an OpenID provider
    given      somebody else set the password: until the person changes it, it opens nothing else
    """

    username: str
    password_hash: str = field(repr=False)
    role: Role
    name: str = ""
    disabled: bool = False
    totp: str = field(default="", repr=False)
    totp_step: int = 0
    passkeys: tuple[Passkey, ...] = ()
    provider: str = ""
    given: bool = False

    @property
    def has_second_factor(self) -> bool:
        return bool(self.totp or self.passkeys)

    @property
    def has_to_choose(self) -> bool:
        """A password of their own, before anything else."""
        return self.given and not self.provider


@dataclass(frozen=True, slots=True)
class Client:
    """A system of this hospital, known by its public keys (a JWK set)."""

    client_id: str
    jwks: dict[str, Any]
    scopes: tuple[str, ...]
    role: Role
    purposes: tuple[PurposeOfUse, ...] = (PurposeOfUse.TREAT,)
    name: str = ""
    disabled: bool = False


_USER = select(user.c.body).where(user.c.username == bindparam("key"))
_USERS = select(user.c.body).order_by(user.c.username)
_CLIENT = select(client.c.body).where(client.c.client_id == bindparam("key"))
_CLIENTS = select(client.c.body).order_by(client.c.client_id)


class PeopleOfTheHouse(Part):
    """Users and clients. Adding refuses a name that is taken; `replace=True` changes who is there."""

    __slots__ = ()

    def add_user(self, user_: User, *, replace: bool = False) -> None:
        self._add(user, {"username": user_.username, "body": dump(user_)}, replace)

    def user(self, username: str) -> User | None:
        return self._noun(User, _USER, key=username)

    def users(self) -> tuple[User, ...]:
        return self._nouns(User, _USERS)

    def disable_user(self, username: str) -> None:
        self._set(user, username, self.user(username), disabled=True)

    def enable_user(self, username: str) -> None:
        self._set(user, username, self.user(username), disabled=False)

    def add_client(self, client_: Client, *, replace: bool = False) -> None:
        self._add(client, {"client_id": client_.client_id, "body": dump(client_)}, replace)

    def client(self, client_id: str) -> Client | None:
        return self._noun(Client, _CLIENT, key=client_id)

    def clients(self) -> tuple[Client, ...]:
        return self._nouns(Client, _CLIENTS)

    def disable_client(self, client_id: str) -> None:
        self._set(client, client_id, self.client(client_id), disabled=True)

    def enable_client(self, client_id: str) -> None:
        self._set(client, client_id, self.client(client_id), disabled=False)

    def _add(self, table: Table, values: dict[str, str], replace: bool) -> None:
        if replace:
            upsert(self._connection, table, values)
        elif not insert_once(self._connection, table, values):
            raise VersionConflict("account", expected="none", found="one of this name")

    def _set(self, table: Table, key: str, account: User | Client | None, *, disabled: bool) -> None:
        if account is None:
            raise NotFound("account")
        (column,) = table.primary_key.columns
        self._connection.execute(
            update(table).where(column == key), {"body": dump(replace(account, disabled=disabled))}
        )
