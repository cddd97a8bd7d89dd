"""CDS Hooks 2.0: the card at the moment of ordering, for systems that ask while the order is written.

Three services (`order-select`, `order-sign`, `patient-view`), discovery, and feedback that enters the ledger. They are
transactions like all others: who asks, scope, consent, record and limits are the pipeline's.
Source: HL7 CDS Hooks 2.0, https://cds-hooks.hl7.org/2.0/
"""
