"""HL7 v2: the language of feeds. Bytes of a message become commands of the registry, results become acknowledgements.

`framing` finds messages in a stream, `message` reads one, `adt`, `oru`, `mdm` and `qbp` know the families,
`exchanges` lists what is spoken, `ack` answers, whatever happened.

Source: HL7 2.3.1 to 2.8, chapters 2, 3, 4, 7, 9; IHE ITI TF-2: 3.8, 3.9, 3.21, 3.30; MLLP: HL7 transport, release 1.
"""
