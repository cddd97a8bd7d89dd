"""How fast the node is, in ratios to what this machine can do at the same moment: `./run bench`.

Absolute figures of a shared machine say little: the same loop of fdatasync gave 404 a second and 7,358 within minutes.
So every row measures its limit or its peer in the same run, and the ratio is the result.

    ground.py      what the machine allows: fdatasync, SQLite commits, a plain TLS hop
    thin_peer.py   the least server that could create and find a document, and one that does nothing
    stub_peers.py  many hospitals in one process, each with its own certificate
    load.py        clients, in processes of their own
    one letter of rows each: publish (a), search (b), federation (c), transfer (d), footprint (g), growth (h)
"""
