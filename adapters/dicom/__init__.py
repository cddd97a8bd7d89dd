"""DICOM: Part-10 files read as far as the index needs them, and DICOMweb (WADO-RS, STOW-RS, QIDO-RS).

Stored bytes are never changed: what a hospital sent is what another one gets, in its own transfer syntax. A file is
walked element by element without reading pixels, so a size that lies, a cut end or a nest without bottom is found
before anything else looks at the file. The DICOM library lends its tables (`dictionary.py`), nothing else.

Sources: DICOM PS3.5, PS3.10, PS3.18; IHE RAD-107, RAD-108, RAD-129.
"""
