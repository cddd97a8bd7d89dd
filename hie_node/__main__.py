"""`python -m hie_node` is `hie`."""

from hie_node.cli import main

main()
