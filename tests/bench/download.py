"""A client that pulls one answer to its end; with a file name it hashes and keeps it, durable. Prints its seconds."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path

import urllib3

PIECE = 1 << 18


def _main() -> None:
    url, authorization, ca_file, *keep = sys.argv[1:]
    pool = urllib3.PoolManager(ca_certs=ca_file)
    headers = {
        "Authorization": authorization,
        "Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
    }
    started, size = time.monotonic(), 0
    answer = pool.request("GET", url, headers=headers, preload_content=False)
    if answer.status != 200:
        sys.exit(f"{answer.status}")
    if keep:
        digest = hashlib.sha256()
        with Path(f"{keep[0]}-{os.getpid()}").open("wb") as file:
            for piece in answer.stream(PIECE):
                digest.update(piece)
                file.write(piece)
                size += len(piece)
            os.fsync(file.fileno())
        Path(file.name).unlink()
    else:
        for piece in answer.stream(PIECE):
            size += len(piece)
    print(json.dumps({"seconds": time.monotonic() - started, "bytes": size}))


if __name__ == "__main__":
    _main()
