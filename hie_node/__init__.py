"""The house: settings, wiring, flows, doors, jobs and the command line of one hospital's node.

`bootstrap.py` builds every part once, in order. A flow reads top to bottom like its clinical sentence and holds no
rule of its own; the pipeline authenticates, decodes, dispatches, records and encodes, so that no transaction can
forget any of it.
"""
