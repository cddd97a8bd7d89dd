"""The rules: who may see what, for which purpose of use, until when, and the record of what was disclosed.

`decide()` is the one place where a disclosure is permitted or refused. It is pure, and its answer carries the reason
and the provision that decided. Sources: IHE PCF 1.1, HL7 v3 ActReason, Law 91/2025/QH15 Art. 19 and 26 (Viet Nam).
"""
