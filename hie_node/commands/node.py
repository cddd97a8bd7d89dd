"""init, serve, upgrade, check, clients, users: the administrator's commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hie_node.commands.output import (
    Json,
    caller_of,
    home_of_node,
    new_password,
    one_of,
    open_house,
    read_json,
    settings_of_node,
    show,
    table,
)

if TYPE_CHECKING:
    from hie_node.acts import Act

ClientId = Annotated[str, typer.Argument(help="The system's name in its assertions: their `iss` and `sub`.")]
Username = Annotated[str, typer.Argument(help="The login.")]
Chosen = Annotated[
    bool, typer.Option("--chosen", help="The person chose this password: it need not be changed at the first sign-in.")
]
clients = typer.Typer(help="The hospital's own systems (SMART Backend Services).", no_args_is_help=True)
users = typer.Typer(help="The people of this hospital.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command()(init)
    app.command()(serve)
    app.command()(upgrade)
    app.command()(check)
    app.command()(backup)
    app.command()(restore)
    app.command("catch-up")(catch_up)
    app.add_typer(clients, name="clients")
    app.add_typer(users, name="users")


def init(
    directory: Annotated[Path, typer.Argument(help="The new node's folder.")],
    name: Annotated[str, typer.Option(help="The hospital's name, as doctors elsewhere read it.")],
    facility_code: Annotated[str, typer.Option(help="Five characters of the ministry (QĐ 384).")],
    home_community_id: Annotated[str | None, typer.Option(help="urn:oid:…; made from the code if absent.")] = None,
    patient_id_system: Annotated[str | None, typer.Option(help="URI of the hospital's patient numbers.")] = None,
    public_host: Annotated[str, typer.Option(help="The name under which others reach this node.")] = "localhost",
    listen: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    house_port: Annotated[int, typer.Option(min=1, max=65535, help="Of the door for systems and people.")] = 8443,
    peer_port: Annotated[int, typer.Option(min=1, max=65535, help="Of the door for other hospitals.")] = 9443,
    ops_port: Annotated[int, typer.Option(min=1, max=65535, help="Of health and metrics, on loopback.")] = 8081,
    database_url: Annotated[str, typer.Option(help="postgresql://…; by default SQLite in the folder.")] = "",
    data_protection_officer: Annotated[str, typer.Option(help="Who is told of emergency access.")] = "",
    lab: Annotated[bool, typer.Option(help="A node for training: invented people only.")] = False,
    as_json: Json = False,
) -> None:
    """Make a new node: settings, keys, certificates, database."""
    from hie_node.init import NewNode, create, derived_community
    from hie_node.setting_tables import UnsafeSettings
    from registry.identifiers import FacilityCode, HomeCommunityId

    if os.geteuid() == 0 and not lab:
        raise UnsafeSettings(
            f"make the node as the user that will run it, not as root: it owns {directory} and its keys"
        )
    home = HomeCommunityId(home_community_id) if home_community_id else derived_community(facility_code)
    made = create(
        directory,
        NewNode(
            name=name,
            facility_code=FacilityCode(facility_code),
            home_community_id=home,
            patient_id_system=patient_id_system or f"{home}.1",
            host=listen,
            public_host=public_host,
            house_port=house_port,
            peer_port=peer_port,
            ops_port=ops_port,
            database_url=database_url,
            data_protection_officer=data_protection_officer,
            lab=lab,
        ),
    )
    lines = [
        f"made {made.home}",
        f"community {made.home_community_id}",
        f"next: hie --home {made.home} check, then hie --home {made.home} serve",
    ]
    show({"home": str(made.home), "home_community_id": str(made.home_community_id)}, lines, as_json=as_json)


def serve() -> None:
    """Run the node until it is told to stop."""
    from hie_node.__main__ import serve_home

    sys.exit(serve_home(home_of_node()))


def upgrade(as_json: Json = False) -> None:
    """Bring the database to the version that this program needs. Stop the node first, and make a backup."""
    from adapters.store.engine import make_engine
    from adapters.store.migrations import current, migrate
    from adapters.store.unit import Storage
    from hie_node.relinking import reindexed
    from hie_node.running import running
    from hie_node.setting_tables import UnsafeSettings

    settings = settings_of_node()
    if (number := running(settings)) is not None:
        raise UnsafeSettings(f"the node runs (process {number}); stop it first; nothing was changed")
    engine = make_engine(settings.database_url)
    before = current(engine)
    migrate(engine)
    after, found = current(engine), reindexed(Storage(engine))
    lines = [f"database: {before or 'empty'} -> {after}"]
    if found:
        lines.append(f"index of patients: filled anew, {found} records; see what the matcher now finds: hie mpi relink")
    show({"before": before, "after": after, "reindexed": found}, lines, as_json=as_json)


def check(as_json: Json = False) -> None:
    """See that everything is in order: settings, keys, certificates, database, peers, the sealed record."""
    from hie_node.checks import run_checks

    results = run_checks(settings_of_node())
    marks = {"ok": "ok  ", "warning": "warn", "failed": "FAIL"}
    lines = [f"{marks[r.state]}  {r.name}: {r.text}" for r in results]
    failed = any(result.state == "failed" for result in results)
    document = {"ok": not failed, "checks": [{"name": r.name, "state": r.state, "text": r.text} for r in results]}
    show(document, lines, as_json=as_json)
    raise typer.Exit(1 if failed else 0)


Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="File with the passphrase of the keys, 14 characters or more.")
]


def backup(
    directory: Annotated[Path, typer.Argument(help="An empty folder, or that of an earlier backup of this node.")],
    passphrase_file: Passphrase = None,
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the keys out; keep them apart.")] = False,
    as_json: Json = False,
) -> None:
    """Copy database, contents and settings while the node runs; the keys only under a passphrase."""
    from hie_node.backups import back_up

    if (passphrase_file is None) == (not without_keys):
        raise ValueError("say what becomes of the keys: either --passphrase-file FILE or --without-keys")
    made = back_up(open_house(), directory, passphrase=_passphrase(passphrase_file))
    lines = [f"{made.rows} sealed rows, {made.contents} contents ({made.copied} new): {directory}"]
    lines.append("the keys are in it, under the passphrase" if made.with_keys else "the keys are NOT in it")
    document = {"rows": made.rows, "contents": made.contents, "copied": made.copied, "keys": made.with_keys}
    show(document, lines, as_json=as_json)


def _passphrase(file: Path | None) -> str | None:
    return file.read_text("utf-8").strip() if file else None


def restore(
    backup_directory: Annotated[Path, typer.Argument(help="What `hie backup` wrote.")],
    directory: Annotated[Path, typer.Argument(help="The new home of the node; not there yet, or empty.")],
    passphrase_file: Passphrase = None,
    database_url: Annotated[str, typer.Option(help="Another, empty PostgreSQL database than before.")] = "",
    as_json: Json = False,
) -> None:
    """Bring a node back. It serves once the other hospitals have said which requests were withdrawn meanwhile."""
    from hie_node.backups import bring_back

    phrase = _passphrase(passphrase_file)
    made = bring_back(backup_directory, directory, passphrase=phrase, database_url=database_url)
    lines = [f"restored {directory}, as of {made.made}, {made.rows} sealed rows"]
    if not made.with_keys:
        lines.append(f"put the keys into {directory / 'keys'} and the TLS keys into {directory / 'tls'}")
    lines.append(f"next: hie --home {directory} serve; it first asks the others what was withdrawn since")
    show({"home": str(directory), "made": made.made, "rows": made.rows, "keys": made.with_keys}, lines, as_json=as_json)


def catch_up(
    without: Annotated[
        list[str] | None, typer.Option("--without", help="A hospital that cannot be asked: its facility code.")
    ] = None,
    as_json: Json = False,
) -> None:
    """After a restore: ask the others which requests were withdrawn. `hie serve` does it by itself where all answer."""
    from hie_node.returning import catch_up as ask
    from hie_node.returning import recognise

    house = open_house()
    found = recognise(house)
    if found is None:
        show({"pending": False}, ["nothing to catch up with"], as_json=as_json)
        return
    result = ask(house, found, without=without or ())
    lines = [f"{result.applied} withdrawals are in force again"]
    lines += [f"no answer from {facility}; the node does not serve" for facility in result.silent]
    show({"pending": bool(result.silent), "applied": result.applied, "silent": result.silent}, lines, as_json=as_json)
    raise typer.Exit(1 if result.silent else 0)


@clients.command("add")
def add_client(
    client_id: ClientId,
    jwks: Annotated[Path, typer.Argument(help="File with the system's public keys (a JWK set).")],
    scopes: Annotated[str, typer.Option(help="What it may ask for, as SMART scopes.")] = "system/*.rs",
    purposes: Annotated[str, typer.Option(help="Purposes of use, by commas.")] = "TREAT",
    name: Annotated[str, typer.Option(help="What people call it.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="It is admitted already: these take the place.")] = False,
    as_json: Json = False,
) -> None:
    """Admit one of the hospital's own systems, or change its keys and what it may do."""
    from adapters.store.people import Client
    from adapters.trust.scopes import granted
    from consent.requesters import PurposeOfUse, Role
    from hie_node.acts import Act
    from hie_node.flows import accounts

    granted(scopes)
    keys = read_json(jwks)
    if not isinstance(keys, dict) or not keys.get("keys") or any("d" in key for key in keys["keys"]):
        raise ValueError(f"{jwks}: expected a JWK set of public keys")
    wanted = tuple(one_of(PurposeOfUse, p.strip(), "--purposes") for p in purposes.split(","))
    house = open_house()
    with house.storage.read() as unit:
        known = unit.people_of_the_house.client(client_id) is not None
    if known and not replace:
        raise ValueError(f"{client_id} is admitted already; --replace gives it these keys and scopes")
    client = Client(client_id, keys, tuple(scopes.split()), Role.SYSTEM, wanted, name)
    accounts.admit_client(Act(house, caller_of(house, None, "HOPERAT"), "hie clients"), client, replace=known)
    show({"client_id": client_id}, [f"admitted {client_id}: {scopes}"], as_json=as_json)


@clients.command("list")
def list_clients(as_json: Json = False) -> None:
    """The hospital's own systems and what they may ask for."""
    house = open_house()
    with house.storage.read() as unit:
        found = unit.people_of_the_house.clients()
    rows = [[c.client_id, " ".join(c.scopes), "disabled" if c.disabled else ""] for c in found]
    document = [{"client_id": c.client_id, "scopes": list(c.scopes), "disabled": c.disabled} for c in found]
    show(document, table(rows, head=["client", "scopes", ""]), as_json=as_json)


@clients.command("disable")
def disable_client(client_id: ClientId, as_json: Json = False) -> None:
    """Give this system no more tokens; those it has end within five minutes."""
    from hie_node.flows import accounts

    accounts.disable_client(_changing("clients"), client_id)
    show({"client_id": client_id, "disabled": True}, [f"disabled {client_id}"], as_json=as_json)


@clients.command("enable")
def enable_client(client_id: ClientId, as_json: Json = False) -> None:
    """Give a disabled system tokens again, for what it was admitted for."""
    from hie_node.flows import accounts

    accounts.enable_client(_changing("clients"), client_id)
    show({"client_id": client_id, "disabled": False}, [f"enabled {client_id}"], as_json=as_json)


def _changing(what: str) -> Act:
    """A change of accounts from this command line; it is on record."""
    from hie_node.acts import Act

    house = open_house()
    return Act(house, caller_of(house, None, "HOPERAT"), f"hie {what}")


@users.command("add")
def add_user(
    username: Username,
    role: Annotated[
        str, typer.Option(help="doctor, nurse, registrar, consent-desk, administrator, data-protection-officer.")
    ],
    name: Annotated[str, typer.Option(help="As the patient reads it in the record of who looked.")],
    chosen: Chosen = False,
    as_json: Json = False,
) -> None:
    """Add somebody of this hospital; the password is asked for, or is the first line of standard input. They change it
    at their first sign-in."""
    from adapters.store.people import User
    from consent.requesters import Role
    from hie_node.flows import accounts
    from hie_node.passwords import hasher

    works_as = one_of(Role, role, "--role")
    house = open_house()
    with house.storage.read() as unit:
        if unit.people_of_the_house.user(username) is not None:
            raise ValueError(f"there is a user {username} already; nothing was changed; see: hie users list")
    made = User(username, hasher(house.settings.lab).hash(new_password()), works_as, name)
    accounts.add_user(_changing("users"), made, chosen=chosen)
    show({"username": username, "role": role}, [f"added {username} ({role})"], as_json=as_json)


@users.command("list")
def list_users(as_json: Json = False) -> None:
    """The people of this hospital and their roles."""
    house = open_house()
    with house.storage.read() as unit:
        found = unit.people_of_the_house.users()
    rows = [[u.username, u.role.value, u.name, "disabled" if u.disabled else ""] for u in found]
    document = [{"username": u.username, "role": u.role.value, "name": u.name, "disabled": u.disabled} for u in found]
    show(document, table(rows, head=["user", "role", "name", ""]), as_json=as_json)


@users.command("disable")
def disable_user(username: Username, as_json: Json = False) -> None:
    """Let somebody in no more; their sessions end at once."""
    from hie_node.flows import accounts

    accounts.disable_user(_changing("users"), username)
    show({"username": username, "disabled": True}, [f"disabled {username}; all sessions ended"], as_json=as_json)


@users.command("enable")
def enable_user(username: Username, as_json: Json = False) -> None:
    """Let somebody in again who was disabled, with the role, password and second factor they had."""
    from hie_node.flows import accounts

    accounts.enable_user(_changing("users"), username)
    show({"username": username, "disabled": False}, [f"enabled {username}"], as_json=as_json)


@users.command("end-sessions")
def end_sessions(username: Username, as_json: Json = False) -> None:
    """Sign somebody out everywhere, at once."""
    from hie_node.flows import accounts

    accounts.end_sessions(_changing("users"), username)
    show({"username": username}, [f"all sessions of {username} ended"], as_json=as_json)


@users.command("set-password")
def set_password(username: Username, chosen: Chosen = False, as_json: Json = False) -> None:
    """For a forgotten password: a new one, asked for or the first line of standard input; all sessions end, and it is
    changed at the next sign-in."""
    from hie_node.flows import accounts
    from hie_node.passwords import hasher

    act = _changing("users")
    accounts.set_password(act, username, hasher(act.house.settings.lab).hash(new_password()), chosen=chosen)
    show({"username": username}, [f"{username} signs in with the new password"], as_json=as_json)


@users.command("reset-second-factor")
def reset_second_factor(username: Username, as_json: Json = False) -> None:
    """For a lost phone: the next sign-in sets up a new one. Make sure by telephone that it is the person."""
    from hie_node.flows import accounts

    accounts.reset_second_factor(_changing("users"), username)
    show({"username": username}, [f"{username} sets up a new second factor at the next sign-in"], as_json=as_json)
