"""How much of everything one client may have of this node's front."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """The bounds of the edge. Every one of them costs a client its own connection and nobody else anything.

    handshake_seconds        s      a TLS handshake takes two round trips; silence here holds a socket
    head_seconds             s      for the whole request head, counted from its first byte
    idle_seconds             s      between two requests of one connection
    head_bytes               bytes  request line and fields; a client certificate is not among them
    fields                   -      fields in one head
    body_gap_seconds         s      between two reads of a body
    body_seconds             s      for a whole body: a study of 150 MB over a line of 0.4 Mbit/s
    slowest_bytes_per_second B/s    mean rate under which a body or a reader is given up, after one gap
    body_bytes               bytes  largest body where the caller sets no other limit
    memory_bytes             bytes  of one body kept in memory; the rest of a larger one goes to a file
    memory_total_bytes       bytes  of all bodies in memory; past it even small ones go to a file
    spool_total_bytes        bytes  of all bodies in files, so that nobody can fill the disk from outside
    connections              -      at once on one edge, over all doors
    slot_seconds             s      that a request waits for a free worker thread before it is sent away
    answer_seconds           s      that a worker may be silent: the slowest honest answer is a stored study
    reader_gap_seconds       s      in which a client must take slowest_bytes_per_second of its answer
    modest_bytes_per_second  B/s    a reader slower than this gives way when all worker threads are taken
    linger_seconds           s      that input is still read after a refusal, so that the client sees it
    grace_seconds            s      for running requests after the node was told to stop
    """

    handshake_seconds: float = 10
    head_seconds: float = 30
    idle_seconds: float = 60
    head_bytes: int = 16 * 1024
    fields: int = 100
    body_gap_seconds: float = 30
    body_seconds: float = 3600
    slowest_bytes_per_second: int = 1024
    body_bytes: int = 10 * 1024 * 1024
    memory_bytes: int = 1024 * 1024
    memory_total_bytes: int = 64 * 1024 * 1024
    spool_total_bytes: int = 8 * 1024 * 1024 * 1024
    connections: int = 1000
    slot_seconds: float = 10
    answer_seconds: float = 120
    reader_gap_seconds: float = 30
    modest_bytes_per_second: int = 64 * 1024
    linger_seconds: float = 2
    grace_seconds: float = 8
