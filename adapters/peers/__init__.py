"""Other hospitals' nodes, from the asking side: connections, and what can go wrong with them as nouns."""
