"""IHE over SOAP, for every gateway, archive and consumer that speaks nothing newer: XDS.b, XCA, XCPD, XUA.

A message is one envelope (`envelope.py`), bare or as the first part of an MTOM package (`mtom.py`). Its action names
the transaction; one file a transaction, as in `adapters/fhir`. What travels is ebRIM: `ebrim.py` reads its objects,
`writing.py` writes them, `datatypes.py` has the HL7 v2 types inside their slots. The nouns are those behind FHIR, so
that what one door publishes the other finds. Errors of the registry ride in answers, those of the message and of
who asks in faults: both are in `faults.py`.

Sources: IHE ITI TF-2: 3.18, 3.38 to 3.43, 3.55, Appendix V; IHE ITI TF-3: 4.2; OASIS ebRS and ebRIM 3.0; SOAP 1.2
"""
