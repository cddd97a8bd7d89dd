"""The nouns: patients and their identifiers, documents, studies, and the answers of many hospitals merged.

Values in, values out. Nothing here opens a file, a socket or a database; storage and peers are the Protocols of
`ports.py`, and `now` is always an argument. The names are those of the standards (IHE ITI TF-3: 4.2, DICOM PS3.3,
HL7 FHIR R4), spelled as Python.
"""
