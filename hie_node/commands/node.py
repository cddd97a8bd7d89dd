"""init, serve, upgrade, check, clients, users: the administrator's commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from hie_node.commands.output import Json, one_of, open_house, read_json, settings_of_node, show, table

ClientId = Annotated[str, typer.Argument(help="The system's name in its assertions: their `iss` and `sub`.")]
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
    house_port: int = 8443,
    peer_port: int = 9443,
    ops_port: int = 8081,
    database_url: Annotated[str, typer.Option(help="postgresql://…; by default SQLite in the folder.")] = "",
    data_protection_officer: Annotated[str, typer.Option(help="Who is told of emergency access.")] = "",
    lab: Annotated[bool, typer.Option(help="A node for training: invented people only.")] = False,
    as_json: Json = False,
) -> None:
    """Make a new node: settings, keys, certificates, database."""
    from hie_node.init import NewNode, create, derived_community
    from registry.identifiers import FacilityCode, HomeCommunityId

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
    from hie_node import log
    from hie_node.serve import serve as run

    log.configure()
    sys.exit(run(settings_of_node()))


def upgrade(as_json: Json = False) -> None:
    """Bring the database to the version that this program needs. Stop the node first, and make a backup."""
    from adapters.store.engine import make_engine
    from adapters.store.migrations import current, migrate

    engine = make_engine(settings_of_node().database_url)
    before = current(engine)
    migrate(engine)
    after = current(engine)
    show({"before": before, "after": after}, [f"database: {before or 'empty'} -> {after}"], as_json=as_json)


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
    name: str = "",
    as_json: Json = False,
) -> None:
    """Admit one of the hospital's own systems."""
    from adapters.store.people import Client
    from adapters.trust.scopes import granted
    from consent.requesters import PurposeOfUse, Role

    granted(scopes)
    keys = read_json(jwks)
    if not isinstance(keys, dict) or not keys.get("keys") or any("d" in key for key in keys["keys"]):
        raise ValueError(f"{jwks}: expected a JWK set of public keys")
    wanted = tuple(one_of(PurposeOfUse, p.strip(), "--purposes") for p in purposes.split(","))
    house = open_house()
    with house.storage.begin() as unit:
        client = Client(client_id, keys, tuple(scopes.split()), Role.SYSTEM, wanted, name)
        unit.people_of_the_house.add_client(client)
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
    house = open_house()
    with house.storage.begin() as unit:
        unit.people_of_the_house.disable_client(client_id)
    show({"client_id": client_id, "disabled": True}, [f"disabled {client_id}"], as_json=as_json)


@users.command("add")
def add_user(
    username: str,
    role: Annotated[str, typer.Option(help="doctor, nurse, registrar, consent-desk, administrator, …")],
    name: Annotated[str, typer.Option(help="As the patient reads it in the record of who looked.")],
    as_json: Json = False,
) -> None:
    """Add somebody of this hospital; the password is asked for."""
    from adapters.store.people import User
    from consent.requesters import Role
    from hie_node.passwords import hasher

    chosen = one_of(Role, role, "--role")
    password = typer.prompt("password (14 characters or more)", hide_input=True, confirmation_prompt=True)
    if len(password) < 14:
        raise ValueError("password: at least 14 characters")
    house = open_house()
    with house.storage.begin() as unit:
        unit.people_of_the_house.add_user(User(username, hasher(house.settings.lab).hash(password), chosen, name))
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
def disable_user(username: str, as_json: Json = False) -> None:
    """Let somebody in no more; their sessions end at once."""
    house = open_house()
    with house.storage.begin() as unit:
        unit.people_of_the_house.disable_user(username)
        unit.sessions.end_all_of(username)
    show({"username": username, "disabled": True}, [f"disabled {username}; all sessions ended"], as_json=as_json)


@users.command("end-sessions")
def end_sessions(username: str, as_json: Json = False) -> None:
    """Sign somebody out everywhere, at once."""
    house = open_house()
    with house.storage.begin() as unit:
        unit.sessions.end_all_of(username)
    show({"username": username}, [f"all sessions of {username} ended"], as_json=as_json)


@users.command("reset-second-factor")
def reset_second_factor(username: str, as_json: Json = False) -> None:
    """For a lost phone: the next sign-in sets up a new one. Make sure by telephone that it is the person."""
    from dataclasses import replace

    from registry.errors import NotFound

    house = open_house()
    with house.storage.begin() as unit:
        user = unit.people_of_the_house.user(username)
        if user is None:
            raise NotFound("account")
        unit.people_of_the_house.add_user(replace(user, totp="", totp_step=0, passkeys=()), replace=True)
        unit.sessions.end_all_of(username)
    show({"username": username}, [f"{username} sets up a new second factor at the next sign-in"], as_json=as_json)
