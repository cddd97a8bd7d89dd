"""The flows: one clinical sentence each, read top to bottom. Which flow answers which command stands in `table.py`."""
