"""The process that decodes pixels: it knows the decoders and nothing of the node, and can do nothing but calculate.

Started as a program of its own by `hie_node/pictures.py`, it imports once and forks for each piece of work, so that
no work meets what a hostile file has done to memory before. What is forked has limits of memory and time that the
kernel keeps, and may open no file, no connection and no process.

Messages both ways: 4 bytes with the length of a JSON head, 8 bytes with the length of the content, head, content.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import resource
import signal
import socket
import struct
import sys
from dataclasses import asdict
from typing import Any

from registry.studies import PictureWish

HEAD = struct.Struct("<IQ")
MEMORY = 1 << 30
"""Bytes of address space beyond what the imports take: a large picture and its decoded form."""
SECONDS = 20
"""Of processor and of clock time for one picture."""
LONGEST_HEAD = 64 << 10

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_EPERM, _ALLOW = 0x00050001, 0x7FFF0000
_FORBIDDEN: dict[str, tuple[int, tuple[int, ...]]] = {
    # open creat openat openat2, socket connect bind listen accept accept4 socketpair, execve execveat, fork vfork clone
    # clone3, kill tkill ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd, unlink unlinkat rename
    # renameat2 truncate, io_uring_setup bpf userfaultfd mount memfd_secret
    "x86_64": (
        0xC000003E,
        (
            *(2, 85, 257, 437, 41, 42, 49, 50, 43, 288, 53, 59, 322, 57, 58, 56, 435, 62, 200, 101, 310, 311, 434, 438),
            *(87, 263, 82, 316, 76, 425, 321, 323, 165, 447),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(56, 437, 198, 203, 200, 201, 202, 242, 199, 221, 281, 220, 435, 129, 130, 117, 270, 271, 434, 438),
            *(35, 38, 276, 45, 425, 280, 282, 40, 447),
        ),
    ),
}


def receive(connection: socket.socket, longest: int) -> tuple[dict[str, Any], bytes] | None:
    """One message; None where the other side has ended."""
    start = _exactly(connection, HEAD.size)
    if not start:
        return None
    head, content = HEAD.unpack(start)
    if head > LONGEST_HEAD or content > longest:
        raise ValueError("a message that is too long")
    told: dict[str, Any] = json.loads(bytes(_exactly(connection, head)))
    return told, bytes(_exactly(connection, content))


def send(connection: socket.socket, told: dict[str, Any], content: bytes = b"") -> None:
    head = json.dumps(told).encode()
    connection.sendall(HEAD.pack(len(head), len(content)) + head)
    if content:
        connection.sendall(content)


def _exactly(connection: socket.socket, count: int) -> bytearray:
    gathered = bytearray(count)
    view, done = memoryview(gathered), 0
    while done < count:
        got = connection.recv_into(view[done:])
        if not got:
            if done:
                raise EOFError("ended inside a message")
            return bytearray()
        done += got
    return gathered


def wish_as_json(wish: PictureWish) -> dict[str, Any]:
    return asdict(wish)


def _wish(told: dict[str, Any]) -> PictureWish:
    pairs = {name: tuple(told[name]) if told[name] else None for name in ("viewport", "window")}
    return PictureWish(told["frame"], told["media_type"], pairs["viewport"], pairs["window"], told["quality"])


def main() -> None:
    """Wait for connections at the inherited socket, and fork for each; end with the node."""
    from adapters.dicom import pictures

    _warm(pictures)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not message:
                return
            connection = socket.socket(fileno=descriptors[0])
            if os.fork() == 0:
                control.close()
                _work(connection, pictures)
            connection.close()


def _work(connection: socket.socket, pictures: Any) -> None:
    """One connection to its end, in a process that is only there for it."""
    try:
        send(connection, {"pid": os.getpid()})
        _lock_away()
        while (message := receive(connection, MEMORY)) is not None:
            _limit_time()
            told, content = message
            send(connection, *_answer(pictures, told, content))
            signal.alarm(0)
    finally:
        os._exit(0)


def _answer(pictures: Any, told: dict[str, Any], content: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if told["do"] == "plain":
            return {"ok": True}, pictures.plain(content)
        return {"ok": True}, pictures.drawn(content, _wish(told["wish"]))
    except pictures.CannotBeDrawn as error:
        empty, absent = isinstance(error, pictures.HoldsNoPicture), isinstance(error, pictures.NoSuchFrame)
        return {"ok": False, "why": str(error), "empty": empty, "absent": absent}, b""
    except Exception as error:
        # any byte may stand in a file; its kind is enough for the log, its text may name somebody
        return {"ok": False, "why": f"cannot be read ({type(error).__name__})"}, b""


def _limit_time() -> None:
    """For one picture; the kernel ends the process that needs longer."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = int(used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (spent + SECONDS, resource.RLIM_INFINITY))
    signal.alarm(2 * SECONDS)


def bound_memory(more: int) -> None:
    """So many bytes of address space beyond what this process has now; the kernel gives no more."""
    taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: PTH123, SIM115
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, taken + more))


def _lock_away() -> None:
    bound_memory(MEMORY)
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))
    known = _FORBIDDEN.get(platform.machine())
    if known is not None:
        _filter(*known)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter(architecture: int, forbidden: tuple[int, ...]) -> None:
    """Forbid system calls by number: each fails as not permitted. Source: seccomp(2), linux/filter.h."""
    step = struct.Struct("<HBBI")
    count = len(forbidden)
    steps = [step.pack(0x20, 0, 0, 4), step.pack(0x15, 1, 0, architecture), step.pack(0x06, 0, 0, _EPERM)]
    steps += [step.pack(0x20, 0, 0, 0), step.pack(0x35, count + 1, 0, 0x40000000)]  # the numbers of x32 name others
    steps += [step.pack(0x15, count - place, 0, number) for place, number in enumerate(forbidden)]
    steps += [step.pack(0x06, 0, 0, _ALLOW), step.pack(0x06, 0, 0, _EPERM)]
    code = ctypes.create_string_buffer(b"".join(steps))
    program = _Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECCOMP)")


def _warm(pictures: Any) -> None:
    """Everything that is imported late is imported now: a locked process cannot open files any more."""
    sample = pictures.sample()
    for media_type in ("image/jpeg", "image/png"):
        pictures.drawn(sample, PictureWish(media_type=media_type, viewport=(4, 4)))
    pictures.plain(sample)


if __name__ == "__main__":
    main()
