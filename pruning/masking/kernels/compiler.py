"""Compilation of the C++ kernels for this machine: once for each user and kind of processor, kept in the user's cache folder.

Called by :mod:`pruning.masking.kernels.dispatch` when the first kernel is wanted. Any number of processes may build at the same
time: each compiles to a name of its own and renames.
"""

import atexit
import functools
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent / "csrc"
_SOURCES, _HEADERS = ("dropout.cpp", "scores.cpp", "select.cpp"), ("blocks.hpp", "lanes.hpp")
_FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-pthread")
_SECONDS = 120
_COMPILERS = ("c++", "g++", "clang++")


class KernelsUnavailableError(Exception):
    """The kernels cannot be built here; the message says why."""


def build_library() -> Path:
    """The compiled kernels, built now if they are not there yet. Raises KernelsUnavailableError."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise KernelsUnavailableError(f"no C++ compiler is installed ({', '.join(_COMPILERS)})")
    folder = _folder()
    file = folder / f"kernels-{_key(compiler)}.so"
    if not file.exists():
        _compile(compiler, file)
    return file


def _folder() -> Path:
    """A folder that only this user can write to, because its files are loaded as code."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(root) / "espalier" / "kernels"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        own = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    except OSError:
        own = False
    if own and os.access(folder, os.W_OK):
        return folder
    temporary = tempfile.mkdtemp(prefix="espalier-kernels-")  # every process then builds for itself, in seconds
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    return Path(temporary)


def _key(compiler: str) -> str:
    """Digest of everything the file depends on: sources, flags, compiler, and the processor it is for."""
    parts = (compiler, _version(compiler), *_flags(compiler), platform.machine(), _processor())
    total = hashlib.sha256(" ".join(parts).encode())
    for file in (*_SOURCES, *_HEADERS):
        total.update((_HERE / file).read_bytes())
    return total.hexdigest()[:24]


def _flags(compiler: str) -> list[str]:
    flags = list(_FLAGS)
    if "clang" not in _version(compiler):
        flags.append("-fopenmp")  # GCC's is torch's too, so that both share one pool; clang's would be a second one
    if platform.machine() in {"x86_64", "AMD64"}:
        flags.append("-mprefer-vector-width=512")  # where there are such vectors: compilers use half their width by default
    return flags


@functools.cache
def _version(compiler: str) -> str:
    try:
        return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=_SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as fault:
        raise KernelsUnavailableError(f"the compiler {compiler} does not run: {fault}") from fault


def _processor() -> str:
    """Model and instruction sets; a home folder may be shared by machines of several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part")
    return " ".join(sorted({line for line in lines if line.startswith(wanted)}))


def _compile(compiler: str, file: Path) -> None:
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".building-", suffix=".so")
    os.close(handle)
    command = [compiler, *_flags(compiler), *(str(_HERE / source) for source in _SOURCES), "-o", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        if done.returncode != 0:
            raise KernelsUnavailableError(f"{compiler} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        os.replace(name, file)
    except (OSError, subprocess.SubprocessError) as fault:
        raise KernelsUnavailableError(f"{compiler} failed: {fault}") from fault
    finally:
        Path(name).unlink(missing_ok=True)
