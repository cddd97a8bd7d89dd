"""The workers: gunicorn's threads behind a Unix socket, one kept connection for each thread.

The application is built once, before the workers are forked, so that they share it. Why gunicorn and not a
faster server: docs/decisions/0002-the-front-of-the-node.md.
"""

import contextlib
import json
import logging
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import ThreadWorker

from hie_node.supervisor import die_with

LOG = logging.getLogger("hie.workers")
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 - a sign of life must not wait for a disk; its file has no name
MOST_FIELDS, MOST_FIELD_BYTES = 200, 64 << 10
"""More than the edge lets through and adds itself."""

SWITCH_SECONDS = 0.0005
"""How long a thread may compute while another waits to go on. A thread whose turn it is to write to the database
waits so long after each of its statements, and all other writers with it: at Python's 5 ms publishing halves."""
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How many requests run at once, and how long a worker is trusted.

    processes     -  each with an interpreter of its own; one is enough for a hospital
    threads       -  requests at once in each process, downloads included
    stuck_seconds s  without a sign of life from the process as a whole; a long stream is not one
    grace_seconds s  for running requests after SIGTERM
    kept_seconds  s  an idle connection of the edge stays; longer than any pause worth a new connection
    """

    processes: int = 1
    threads: int = 32
    stuck_seconds: int = 60
    grace_seconds: int = 8
    kept_seconds: int = 3600

    @property
    def slots(self) -> int:
        return self.processes * self.threads


class QuietLog(Logger):  # type: ignore[misc]
    """gunicorn's log without what a request said: only which error it was and where it came from."""

    def setup(self, cfg: Any) -> None:
        self.error_log = LOG

    def access(self, *_: Any) -> None:
        """The edge writes the access line."""

    def exception(self, message: str, *_: Any, **__: Any) -> None:
        error = sys.exc_info()[1]
        self.error_log.error("%s in a worker", type(error).__name__)

    def info(self, *_: Any, **__: Any) -> None: ...
    def debug(self, *_: Any, **__: Any) -> None: ...


class OneThreadEach(ThreadWorker):  # type: ignore[misc]
    """A worker that holds as many connections as it has threads, all of them kept.

    With more, a request could wait unseen behind a download while another process is idle.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_keepalived = self.worker_connections

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """A request that the edge let through and that is still refused here: gunicorn would quote it in a page and
        in the log, where it may name a patient."""
        status = HTTPStatus.BAD_REQUEST if isinstance(exc, ParseException) else HTTPStatus.INTERNAL_SERVER_ERROR
        LOG.error("%s in a worker", type(exc).__name__)
        body = json.dumps({"title": status.phrase, "status": status.value}).encode()
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        head += f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        with contextlib.suppress(OSError):
            client.sendall(head.encode() + body)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """gunicorn would warn that no connection can be kept; here all can."""


class Workers(BaseApplication):  # type: ignore[misc]
    """The settings of gunicorn, given by this program and by no file, environment or command line."""

    def __init__(
        self, app_factory: Callable[[], Wsgi], socket_file: Path, limits: WorkerLimits, in_each: Callable[[], None]
    ) -> None:
        self._app_factory, self._socket_file, self._limits, self._in_each = app_factory, socket_file, limits, in_each
        super().__init__()

    def load_config(self) -> None:
        limits = self._limits
        settings = {
            "bind": f"unix:{self._socket_file}",
            "workers": limits.processes,
            "threads": limits.threads,
            "worker_class": OneThreadEach,
            "worker_connections": limits.threads,
            "keepalive": limits.kept_seconds,
            "timeout": limits.stuck_seconds,
            "graceful_timeout": limits.grace_seconds,
            "preload_app": True,
            "umask": 0o077,
            "worker_tmp_dir": str(MEMORY_FOLDER) if MEMORY_FOLDER.is_dir() else None,
            "logger_class": QuietLog,
            # the edge has bounded and checked every head; a second, lower bound would answer in HTML
            "limit_request_line": 0,
            "limit_request_field_size": MOST_FIELD_BYTES,
            "limit_request_fields": MOST_FIELDS,
            "accesslog": None,
            "control_socket_disable": True,
            "forwarder_headers": "",
            "secure_scheme_headers": {"X-FORWARDED-PROTO": "https"},
            "post_fork": lambda arbiter, worker: die_with(arbiter.pid),
            "post_worker_init": lambda worker: self._in_each(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Wsgi:
        return self._app_factory()


def private_folder(folder: Path) -> None:
    """The folder of the socket lets nobody else in: whoever reaches a worker may say who it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user; the workers were not started")
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def run_workers(
    app_factory: Callable[[], Wsgi],
    *,
    socket_file: Path,
    limits: WorkerLimits,
    in_each: Callable[[], None] = lambda: None,
) -> None:
    """Serves the application behind `socket_file` until SIGTERM. Meant as the `run` of a supervised child.

    in_each  called in every worker once it is there: threads have to be started there, since none survives a fork
    """
    private_folder(socket_file.parent)
    sys.setswitchinterval(SWITCH_SECONDS)
    Workers(app_factory, socket_file, limits, in_each).run()
