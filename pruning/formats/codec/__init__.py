"""Masks as few bytes: which weights are kept, coded close to its entropy, decoded to the same bits on every machine.

    tables     what a level means: integer frequencies of the 256 bytes, from 41 listed integers
    rans       symbols with integer frequencies ↔ 16-bit words, many lanes at a time
    layout     a matrix ↔ bytes of eight weights with about the same probability, given levels of its rows and columns
    fit        the encoder's choice of levels; the only place with floating point, and no decoder needs it
    matrices   all matrices of a mask ↔ the parts of a file

``docs/mask-format.md`` is the specification. numpy alone: 85 million bits take under a second each way, because
eight bits are one symbol and a thousand symbols are coded by each numpy call.
"""
