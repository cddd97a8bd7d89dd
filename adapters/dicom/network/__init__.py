"""DICOM over TCP: the upper layer's PDUs, the commands of DIMSE, and what a query says, as bytes and values.

No socket is here and no clock: `hie_node/dimse` reads and writes, this room only translates. What a PDU announces is
checked before anything is reserved for it.

Sources: DICOM PS3.7 (messages), PS3.8 (upper layer), PS3.4 (services).
"""
