"""The DICOM port: associations with this hospital's modalities, archives and viewers, in a process of its own.

`door.py` listens and bounds, `association.py` is one line with another system, `services.py` answers what is asked,
`sending.py` calls others. All decisions are those of the flows: what comes in is stored like a STOW-RS request, what is
asked for is found, permitted and recorded like a search of the hospital's own systems.
"""
