"""The edge: the only process of a node that strangers reach.

It ends TLS, reads a whole and bounded request, and only then troubles a worker; it hands the answer on in
constant memory. Slow, silent and hostile clients cost it a socket, and the workers nothing.
"""

from hie_node.edge.limits import EdgeLimits
from hie_node.edge.listeners import Listener, ServerTls, UnsafeListener
from hie_node.edge.server import run_edge

__all__ = ["EdgeLimits", "Listener", "ServerTls", "UnsafeListener", "run_edge"]
