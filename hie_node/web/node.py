"""The administrator: is all in order and what is next, the peers, what waits, who may sign in, how it is set."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import Any

from flask import Response

from adapters.store.people import User
from adapters.trust.directory import read_entry
from adapters.trust.errors import DirectoryRefused
from adapters.trust.jwk import thumbprint
from consent.requesters import Role
from hie_node import administration, checks, dropped_files, feeds, log, passwords, reading_again
from hie_node.flows import accounts, network
from hie_node.flows.record_checks import newest_checks
from hie_node.init import own_entry
from hie_node.page_tokens import open_page, seal_page
from hie_node.setting_tables import PEOPLES_ROLES
from hie_node.transfers import transfers
from hie_node.web.front import Page, Refused, Visit, attachment
from registry.directory import PeerState
from registry.errors import InvalidValue, Unreadable
from registry.feeds import REFUSED, FeedSearch
from registry.name_order import by_given_name

ADMINISTRATOR = frozenset({Role.ADMINISTRATOR})
_FILE, _FILE_LIFE = b"refused file", 43200
_ENTRY_LONGEST = 20_000
FEED_DAYS, MOST_ITEMS = timedelta(days=7), 100


def node_page(visit: Visit) -> Response:
    house = visit.house
    with house.storage.read() as unit:
        seal = unit.disclosures.last_seal()
        waiting = unit.disclosures.unsealed(1000)
        jobs = unit.jobs.overview()
        counted = unit.feeds.counts(house.now() - timedelta(days=1))
    return visit.page(
        "node.html",
        checks=[*checks.look_at(house, checks.NEAR), *administration.heard(house)],
        check=next(iter(newest_checks(house, 1)), None),
        seal=seal,
        waiting=len(waiting),
        jobs=jobs,
        part="node",
        feeds=counted,
    )


def diagnosis(visit: Visit) -> Response:
    """To be given to somebody who helps: nothing personal is in it."""
    text = json.dumps(administration.diagnosis(visit.house), ensure_ascii=False, indent=1)
    response = Response(text, content_type="application/json")
    response.headers["Content-Disposition"] = attachment("diagnosis.json")
    return response


# --- peers


def peers_page(visit: Visit) -> Response:
    return _peers(visit)


def ask_peers(visit: Visit) -> Response:
    """Whether each peer answers now. Nothing about a patient is asked."""
    return _peers(visit, answers=checks.look_at(visit.house, [checks.peers]))


def _peers(visit: Visit, *, status: int = 200, **told: Any) -> Response:
    """`wanted` is the hospital of an entry that was pasted and waits for the second look, `entry` its text."""
    usual = {"answers": (), "problem": "", "wanted": None, "entry": ""}
    return visit.page(
        "peers.html",
        status=status,
        figures=administration.peers(visit.house),
        own=own_entry(visit.house.settings, visit.house.keys),
        codes=lambda peer: [thumbprint(jwk) for jwk in peer.jwks],
        done=visit.facts().get("done", ""),
        who=visit.facts().get("who", ""),
        part="peers",
        **(usual | told),
    )


def invitation(visit: Visit) -> Response:
    """This node's own entry, for the other hospital's administrator."""
    entry = network.give_entry(visit.act("invitation"))
    response = Response(json.dumps(entry, ensure_ascii=False, indent=1), content_type="application/json")
    response.headers["Content-Disposition"] = attachment(f"hie-{visit.house.settings.facility_code}.json")
    return response


def admit_peer(visit: Visit) -> Response:
    """Admit a hospital, or take over its new keys, by the entry that its administrator gave: first it is shown what the
    entry says, with the codes of its keys as they are read out by telephone, and nothing is changed."""
    text = visit.field("entry", _ENTRY_LONGEST)
    try:
        entry = json.loads(text)
        if not isinstance(entry, dict) or entry.get("home") == str(visit.house.home):
            raise ValueError
        if visit.field("compared", 5) != "yes":
            return _peers(visit, wanted=read_entry(entry), entry=text)
        peer = network.admit_peer(visit.act("admit-peer"), entry)
    except (ValueError, DirectoryRefused, InvalidValue):
        return _peers(visit, problem="peers.wrong-entry", status=400)
    log.event("peer admitted", facility=str(peer.community.facility))
    return visit.go(f"/node/peers?f={visit.seal(done='admitted', who=peer.community.name)}")


def set_peer_state(visit: Visit) -> Response:
    """Suspend, let in again, or expel; whoever was expelled is admitted only by a new entry."""
    facility, wanted = visit.field("facility", 10), visit.field("state", 20)
    if wanted not in set(PeerState):
        raise InvalidValue("state", expected="active, suspended or expelled")
    try:
        peer = network.set_peer_state(visit.act("peer-state"), facility, PeerState(wanted))
    except network.PeerExpelled:
        raise Refused(409, "peers.expelled-for-good") from None
    log.event("peer state", facility=facility, state=wanted)
    return visit.go(f"/node/peers?f={visit.seal(done=wanted, who=peer.community.name)}")


def rotate_keys(visit: Visit) -> Response:
    """The key that was announced signs from now on; give the new entry to the peers before the next time."""
    kid = network.rotate_keys(visit.act("rotate-keys"))
    log.event("signing key rotated", kid=kid)
    return visit.go(f"/node/peers?f={visit.seal(done='rotated')}")


# --- what moved


def transfers_page(visit: Visit) -> Response:
    """Whether reports and images move, with whom, and what broke off."""
    names = {peer.home: peer.community.name for peer in visit.house.directory.current().peers}
    return visit.page("transfers.html", moved=transfers(visit.house), names=names, part="transfers")


# --- files that systems dropped


def feeds_page(visit: Visit) -> Response:
    """What each system sent in the last days, what was refused and why, and what lies in the drop folder."""
    house = visit.house
    since = house.now() - FEED_DAYS
    refused = [(one, _sealed_name(visit, one.name)) for one in dropped_files.refused_files(house)]
    with house.storage.read() as unit:
        items = tuple(unit.feeds.find(FeedSearch("", REFUSED, since, MOST_ITEMS)))
    return visit.page(
        "feeds.html",
        senders=feeds.senders(house, since=since),
        items=items,
        again=frozenset(feeds.refused(house, "", since=since)),
        waiting=dropped_files.waiting_files(house),
        refused=refused,
        days=FEED_DAYS.days,
        part="feeds",
    )


def replay_item(visit: Visit) -> Response:
    """Read a refused message again from the bytes that were kept, once the fault is mended."""
    item = feeds.read_item(visit.house, visit.field("item", 64))
    became = reading_again.replay(visit.house, item, visit.act("replay-feed").caller)
    log.event("feed replayed", outcome=became.outcome)
    return visit.go("/node/feeds")


def _sealed_name(visit: Visit, name: str) -> str:
    """A name of a file may be a patient's: it travels sealed."""
    return seal_page(visit.house, (("name", name),), use=_FILE, life=_FILE_LIFE)


def replay_file(visit: Visit) -> Response:
    """Look at a refused file again, after what was wrong here or there has been mended."""
    try:
        name = dict(open_page(visit.house, visit.field("file", 4000), use=_FILE))["name"]
    except ValueError as error:
        raise Unreadable("file", "not of this page") from error
    dropped_files.replay(visit.house, name)
    log.event("dropped file replayed")
    return visit.go("/node/feeds")


# --- people


def people_page(
    visit: Visit, *, made: str = "", password: str = "", done: str = "", problem: str = "", status: int = 200
) -> Response:
    told = visit.facts()
    with visit.house.storage.read() as unit:
        users, sessions = unit.people_of_the_house.users(), unit.sessions.all()
        clients = unit.people_of_the_house.clients()
    return visit.page(
        "users.html",
        status=status,
        users=sorted(users, key=lambda one: by_given_name(one.name or one.username)),
        sessions=sessions,
        clients=clients,
        roles=sorted(PEOPLES_ROLES),
        made=made or told.get("who", ""),
        password=password,
        done=done or told.get("done", ""),
        problem=problem,
        part="people",
    )


def add_user(visit: Visit) -> Response:
    """A new account with a first password that is shown once."""
    username, name, role = visit.field("username", 60), visit.field("name", 100), visit.field("role", 40)
    if not username or username != username.strip() or role not in PEOPLES_ROLES:
        return people_page(visit, problem="users.wrong", status=400)
    with visit.house.storage.read() as unit:
        taken = unit.people_of_the_house.user(username) is not None
    if taken:
        return people_page(visit, problem="users.taken", status=409)
    password, hashed = _first_password(visit)
    accounts.add_user(visit.act("add-user"), User(username, hashed, Role(role), name))
    log.event("account made", role=role)
    return people_page(visit, made=username, password=password, done="made")


def _first_password(visit: Visit) -> tuple[str, str]:
    """To be handed over in person, and what is kept of it."""
    password = secrets.token_urlsafe(12)
    return password, passwords.hasher(visit.house.settings.lab).hash(password)


def change_user(visit: Visit) -> Response:
    """Disable, enable, another role, a new password, a lost phone, or out of all sessions. Nobody takes away their own
    account."""
    username, what = visit.field("username", 100), visit.field("what", 20)
    if username == visit.user.username and what != "end-sessions":
        raise Refused(409, "users.not-yourself")
    act, password = visit.act("change-user"), ""
    match what:
        case "disable":
            accounts.disable_user(act, username)
        case "enable":
            accounts.enable_user(act, username)
        case "reset-factor":
            accounts.reset_second_factor(act, username)
        case "end-sessions":
            accounts.end_sessions(act, username)
        case "role" if (role := visit.field("role", 40)) in PEOPLES_ROLES:
            accounts.set_role(act, username, Role(role))
        case "password":
            password, hashed = _first_password(visit)
            accounts.set_password(act, username, hashed)
        case _:
            raise InvalidValue("what", expected="disable, enable, reset-factor, end-sessions, password or role")
    log.event("account changed", what=what)
    if password:
        return people_page(visit, made=username, password=password, done="password")
    return visit.go(f"/node/people?f={visit.seal(done=what, who=username)}")


def settings_page(visit: Visit) -> Response:
    return visit.page("settings.html", settings=administration.settings_shown(visit.house), part="settings")


PAGES = (
    Page("node", "GET", "/node", node_page, ADMINISTRATOR),
    Page("diagnosis", "GET", "/node/diagnosis", diagnosis, ADMINISTRATOR),
    Page("peers", "GET", "/node/peers", peers_page, ADMINISTRATOR),
    Page("ask-peers", "POST", "/node/peers", ask_peers, ADMINISTRATOR),
    Page("invitation", "GET", "/node/peers/invitation", invitation, ADMINISTRATOR),
    Page("admit-peer", "POST", "/node/peers/admit", admit_peer, ADMINISTRATOR, step_up="/node/peers"),
    Page("peer-state", "POST", "/node/peers/state", set_peer_state, ADMINISTRATOR, step_up="/node/peers"),
    Page("rotate-keys", "POST", "/node/peers/rotate", rotate_keys, ADMINISTRATOR, step_up="/node/peers"),
    Page("transfers", "GET", "/node/transfers", transfers_page, ADMINISTRATOR),
    Page("feeds", "GET", "/node/feeds", feeds_page, ADMINISTRATOR),
    Page("replay", "POST", "/node/feeds/replay", replay_file, ADMINISTRATOR),
    Page("replay-feed", "POST", "/node/feeds/again", replay_item, ADMINISTRATOR),
    Page("users", "GET", "/node/people", people_page, ADMINISTRATOR),
    Page("add-user", "POST", "/node/people", add_user, ADMINISTRATOR, step_up="/node/people"),
    Page("change-user", "POST", "/node/people/change", change_user, ADMINISTRATOR, step_up="/node/people"),
    Page("settings", "GET", "/node/settings", settings_page, ADMINISTRATOR),
)
