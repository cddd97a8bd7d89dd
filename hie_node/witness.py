"""The newest sealed head, kept outside the database: whoever can only write there cannot cut off the record's end."""

from __future__ import annotations

from adapters.trust import seals
from adapters.trust.errors import SealBroken
from adapters.trust.files import write_whole
from adapters.trust.seals import Head
from consent.ports import Seal
from hie_node.house import House

FILE = "sealed-head.jws"


def keep(house: House, seal: Seal) -> None:
    """Remember this head; called once it is committed, so that the file never knows more than the database did."""
    write_whole(house.settings.keys / FILE, seal.signature.encode("ascii"))


def known_head(house: House) -> Head | None:
    """The newest head that this node remembers; None before the first seal. Raises SealBroken when it was tampered."""
    try:
        signature = (house.settings.keys / FILE).read_text("ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SealBroken("form") from error
    return seals.read_head(signature, home=house.home, keys=house.keys.ever())
