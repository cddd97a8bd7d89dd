"""How a command ends: with its result, or with one line on standard error; never with a stack trace."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


def end_with(run: Callable[[], int]) -> NoReturn:
    """Run and exit with what it gives. Whatever goes wrong is one line: exit code 1."""
    try:
        sys.exit(run())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except Exception as error:
        if not complain(error):
            confess(error)
        sys.exit(1)


def complain(error: Exception) -> bool:
    """One line about an error that a person can mend; False for a fault of ours."""
    from adapters.peers.errors import PeerError
    from adapters.trust.errors import TrustError
    from consent.errors import ConsentError
    from hie_node.lab.nodes import LabFailed
    from hie_node.setting_tables import UnsafeSettings
    from registry.errors import RegistryError

    known = (RegistryError, ConsentError, TrustError, PeerError, UnsafeSettings, LabFailed, OSError, ValueError)
    if not isinstance(error, known):
        return False
    text = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
    sys.stderr.write(f"hie: {text}\n")
    return True


def confess(error: Exception) -> None:
    """One line about a fault of ours: what and where, without its text, which may quote a patient."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).parent.name}/{Path(last.filename).name}:{last.lineno}"
    sys.stderr.write(f"hie: a fault of this program, {type(error).__name__} at {place}; please report it\n")
