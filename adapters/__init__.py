"""The languages: bytes to nouns and back. FHIR, DICOM, insurance XML, SQL, tokens and certificates.

An adapter translates and never decides. A transaction is one file that holds `decode`, `encode` and a `TRANSACTION`,
and one line in `catalogue.py`; wire models stop at the adapter's door.
"""
