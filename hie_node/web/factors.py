"""The second factor of somebody: whether one is demanded, whether what was shown is right, and how one is made."""

from __future__ import annotations

from dataclasses import replace

from adapters.store.people import User
from hie_node import one_time_codes, secrets_kept
from hie_node.house import House

_USE = b"one-time code secrets"


def demanded(house: House, user: User) -> bool:
    """Of everybody with a password outside the lab; whoever has a second factor is asked for it anywhere."""
    return user.has_second_factor or house.settings.sign_in.demands_second_factor(lab=house.settings.lab)


def sealed(house: House, secret: str) -> str:
    """As it is stored: a copy of the database makes no codes."""
    return secrets_kept.sealed(house, secret, use=_USE)


def takes_code(house: House, username: str, typed: str) -> bool:
    """Whether these digits are this person's now; they are spent with it, under the lock of the account."""
    with house.storage.begin() as unit:
        user = unit.people_of_the_house.user(username)
        secret = secrets_kept.opened(house, user.totp, use=_USE) if user is not None and user.totp else None
        if user is None or secret is None or user.disabled:
            return False
        step = one_time_codes.accepted_step(secret, typed, last=user.totp_step, now=house.now())
        if step is None:
            return False
        unit.people_of_the_house.add_user(replace(user, totp_step=step), replace=True)
        return True


def keep_code_secret(house: House, username: str, secret: str, typed: str) -> bool:
    """Take the secret as this person's own, once a code of it was shown."""
    step = one_time_codes.accepted_step(secret, typed, last=0, now=house.now())
    if step is None:
        return False
    with house.storage.begin() as unit:
        user = unit.people_of_the_house.user(username)
        if user is None:
            return False
        changed = replace(user, totp=sealed(house, secret), totp_step=step)
        unit.people_of_the_house.add_user(changed, replace=True)
    return True
