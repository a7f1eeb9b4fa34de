"""Range asymmetric numeral systems (rANS): symbols to 16-bit words and back, interleaved over lanes for numpy.

Symbol i belongs to lane i mod lanes; numpy codes all lanes together. A lane's state is an integer in [2**24, 2**40); a symbol
of frequency f, of which c lower ones come before, turns state x into (x div f) * 65536 + c + (x mod f). The encoder goes
backwards from 2**24 and emits the lower 16 bits of a state wherever it would grow too large; the decoder undoes that forwards,
so it ends at 2**24 in every lane with no word left, or the stream is damaged.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pruning.formats.codec.frequency_tables import TOTAL, TOTAL_BITS, Frequencies

Bytes = npt.NDArray[np.uint8]

LOWEST = 1 << 24
STATE_BITS = 40
MAX_LANES = 4096
MAX_STEPS = 1 << 16
"""Symbols per lane: bounds the sequential steps of a decoder on a small malicious file."""
_STEPS_WANTED = 8192
_LANES_WANTED = 1024
_BATCH = 1 << 17
"""Symbols whose frequencies are looked up in one go."""
_WORD = np.uint64(16)
_LOW_BITS = np.uint64(TOTAL - 1)
_TOTAL = np.uint64(TOTAL)


class CorruptFileError(ValueError):
    """Coded data that no encoder writes."""


class Stream(NamedTuple):
    """Coded symbols."""

    states: npt.NDArray[np.uint64]
    """State of each lane, before its first symbol."""
    words: npt.NDArray[np.uint16]
    """In the order in which the decoder takes them."""

    def require(self, symbols: int) -> None:
        """Raises CorruptFileError unless this can be a stream of so many symbols; call it before anything is allocated."""
        lanes = len(self.states)
        if symbols == 0:
            if lanes or len(self.words):
                raise CorruptFileError("a stream without symbols is not empty")
            return
        if not 1 <= lanes <= min(MAX_LANES, symbols) or symbols > lanes * MAX_STEPS or len(self.words) > symbols:
            raise CorruptFileError(f"{lanes} lanes and {len(self.words)} words cannot hold {symbols} symbols")
        if self.states.min() < LOWEST or self.states.max() >> STATE_BITS:
            raise CorruptFileError("a state is out of range")


EMPTY = Stream(np.empty(0, np.uint64), np.empty(0, np.uint16))


def lanes_for(symbols: int) -> int:
    """A lane costs about four bytes and saves time: one per 8192 symbols, from 1,024 up as few as keep to the limit."""
    wanted = min(max(1, symbols // _STEPS_WANTED), _LANES_WANTED)
    return max(wanted, -(-symbols // MAX_STEPS))


def encode(symbols: Bytes, contexts: Bytes, frequencies: Frequencies) -> Stream:
    """Code ``symbols``, each with the row of ``frequencies`` that its entry of ``contexts`` names."""
    if not len(symbols):
        return EMPTY
    lanes = lanes_for(len(symbols))
    packed = _frequency_and_start(frequencies)
    state = np.full(lanes, LOWEST, np.uint64)
    chunks: list[npt.NDArray[np.uint16]] = []
    batch = lanes * max(1, _BATCH // lanes)
    for first in range((len(symbols) - 1) // batch * batch, -1, -batch):
        index = contexts[first : first + batch].astype(np.int64) << 8 | symbols[first : first + batch]
        both = packed.take(index)
        frequency, start = both >> _WORD, both & _LOW_BITS
        limit, rest = frequency << np.uint64(24), _TOTAL - frequency
        for step in range((len(both) - 1) // lanes * lanes, -1, -lanes):
            now = slice(step, step + lanes)
            x = state[: len(both) - step]  # the last step has fewer symbols
            full = (x >= limit[now]).nonzero()[0]
            if len(full):
                high = x[full]
                chunks.append(high.astype(np.uint16))
                x[full] = high >> _WORD
            x += x // frequency[now] * rest[now] + start[now]
    chunks.reverse()
    return Stream(state, np.concatenate(chunks) if chunks else EMPTY.words)


def decode(stream: Stream, contexts: Bytes, frequencies: Frequencies) -> Bytes:
    """The symbols, one for each of ``contexts``. Raises CorruptFileError."""
    stream.require(len(contexts))
    lanes, words = len(stream.states), stream.words
    symbols = np.empty(len(contexts), np.uint8)
    if not lanes:
        return symbols
    packed = _frequency_and_start(frequencies)
    by_slot = np.repeat(np.tile(np.arange(256, dtype=np.uint8), len(frequencies)), frequencies.reshape(-1))
    state, taken = stream.states.copy(), 0
    batch = lanes * max(1, _BATCH // lanes)
    for first in range(0, len(contexts), batch):
        context = contexts[first : first + batch].astype(np.int64)
        slots, rows = context << TOTAL_BITS, context << 8
        for step in range(0, len(context), lanes):
            now = slice(step, step + lanes)
            x = state[: len(context) - step]
            slot = x & _LOW_BITS
            found = by_slot.take(slots[now] + slot.view(np.int64))
            symbols[first + step : first + step + len(found)] = found
            both = packed.take(rows[now] + found)
            x >>= _WORD
            x *= both >> _WORD
            x += slot
            x -= both & _LOW_BITS
            low = (x < LOWEST).nonzero()[0]
            if len(low):
                if taken + len(low) > len(words):
                    raise CorruptFileError("the words of a stream run out")
                x[low] = x[low] << _WORD | words[taken : taken + len(low)]
                taken += len(low)
    if taken != len(words) or (state != LOWEST).any():
        raise CorruptFileError("a stream does not end where its symbols do")
    return symbols


def _frequency_and_start(frequencies: Frequencies) -> npt.NDArray[np.uint64]:
    """For context * 256 + symbol: frequency * 65536 + the frequencies of the symbols below."""
    starts = np.cumsum(frequencies, axis=1, dtype=np.uint64) - frequencies
    return (frequencies.astype(np.uint64) << _WORD | starts).reshape(-1)
