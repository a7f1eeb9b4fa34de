"""Entropy coding of masks: bits coded close to their entropy, decoded to the same bits on every machine.

    matrices          all matrices of a mask ↔ the parts of a file
    planner           the encoder's choice of levels; the only floating point, which no decoder needs
    bit_layout        a matrix ↔ bytes of eight weights with about the same probability, given levels of its rows and columns
    rans              symbols with integer frequencies ↔ 16-bit words, many lanes at a time
    frequency_tables  the meaning of a level: integer frequencies of the 256 bytes, from 41 listed integers

Called by :mod:`pruning.formats.compact_file`; ``docs/reference/mask-format.md`` is the specification. numpy alone: 85 million
bits take under a second each way, because eight bits are one symbol and a thousand symbols are coded by each numpy call.
"""
