"""Permanent change of a process's user and group, without capabilities or with those to start processes of other users (Linux).

Called by the launcher (:mod:`pruning.processes.parent_watchdog`), which loads this file by its path, for a child of another user,
and by ``espalier worker`` when root becomes the worker's user.
"""

import ctypes
import os
import sys
from collections.abc import Sequence

SWITCHING = {"KILL": 5, "SETGID": 6, "SETUID": 7}
"""Capabilities by which a process that is not root starts and ends processes of other users; numbers of capability.h."""
_PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _AMBIENT_RAISE = 8, 47, 2
_VERSION_3, _WORDS = 0x20080522, 2
"""Version of the kernel's interface: each set of capabilities is two words of 32 bits."""


def become_user(user: int, group: int, groups: Sequence[int] = (), *, keep_switching: bool = False) -> None:
    """Become ``user`` with ``group`` and ``groups``, and drop every capability.

    ``keep_switching``: all but :data:`SWITCHING`, which programs that this process turns into then have as well. Raises OSError
    where this process may not, as root and holders of these capabilities may.
    """
    if sys.platform != "linux":
        raise OSError("another user needs Linux")
    libc = ctypes.CDLL(None, use_errno=True)
    if keep_switching:
        _checked(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0), "prctl(PR_SET_KEEPCAPS)")
    os.setgroups(list(groups))
    os.setgid(group)
    os.setuid(user)
    kept = sorted(SWITCHING.values()) if keep_switching else []
    _set_capabilities(libc, sum(1 << number for number in kept))
    for number in kept:  # else a program that is started by a user other than root has none
        _checked(libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0), "prctl(PR_CAP_AMBIENT)")


def _set_capabilities(libc: ctypes.CDLL, kept: int) -> None:
    """Effective, permitted and inheritable set; the ambient set loses what is not in them."""
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    words = [kept & 0xFFFFFFFF] * 3 + [kept >> 32] * 3
    _checked(libc.capset(header, (ctypes.c_uint32 * (3 * _WORDS))(*words)), "capset")


def _checked(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call} failed: {os.strerror(ctypes.get_errno())}")
