"""Generator of the synchronous client: ``python -m scripts.unasync``, after any change in ``espalier/client/_async``.

Works on tokens: those of ``async`` are dropped, and names with a synchronous counterpart are replaced. Ruff then sorts and
formats, so it has to be installed (the ``dev`` extra). A test compares the files with what is generated here.
"""

import io
import re
import subprocess
import sys
import tokenize
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "espalier" / "client"
GENERATED = CLIENT / "_sync"
SOURCES = sorted(file for file in (CLIENT / "_async").glob("*.py") if file.stem not in ("__init__", "waiting"))
NOTE = "# made by `python -m scripts.unasync` from espalier/client/_async/{name}; change that file, not this one\n"
_NAMES = {
    "AsyncBaseTransport": "BaseTransport",
    "AsyncClient": "Client",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_raw": "iter_raw",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
}
_WORDS = re.compile(r"\b(?:(?:async|await) +|" + "|".join(_NAMES) + r"\b)")
"""In docstrings."""
_FIXES = "F811,I,SIM117,UP028"
"""Of ruff: names imported twice, their order, and what is shorter once it is synchronous."""


def unasync(source: str, name: str) -> str:
    """The synchronous module for the asynchronous ``source``; ``name`` is the file's. Raises CalledProcessError of ruff."""
    lines = source.splitlines(keepends=True)
    for token in reversed(list(tokenize.generate_tokens(io.StringIO(source).readline))):
        replacement = _replacement(token)
        if replacement != token.string:
            (first, start), (last, end) = token.start, token.end
            rest = lines[last - 1][end:]
            if not replacement:
                rest = rest.lstrip(" ")
            lines[first - 1 : last] = (lines[first - 1][:start] + replacement + rest).splitlines(keepends=True)
    text = "".join(lines).replace("from espalier.client._async.", "from espalier.client._sync.")
    text = re.sub(r"\bAwaitable\[([\w.]+)\]", r"\1", text).replace("Awaitable, ", "")
    return run_ruff("format", run_ruff("check", NOTE.format(name=name) + text))


def _replacement(token: tokenize.TokenInfo) -> str:
    """The synchronous text of a token."""
    if token.type == tokenize.NAME:
        return "" if token.string in ("async", "await") else _NAMES.get(token.string, token.string)
    if token.type in (tokenize.STRING, tokenize.COMMENT):
        return _WORDS.sub(lambda word: _NAMES.get(word[0], ""), token.string)
    return token.string


def run_ruff(verb: str, text: str) -> str:
    """What ruff makes of a source text: ``check`` applies the fixes above, ``format`` lays out. Raises CalledProcessError."""
    fixes = ["--select", _FIXES, "--fix-only", "--unsafe-fixes"] if verb == "check" else []
    command = [sys.executable, "-m", "ruff", verb, *fixes, "--quiet", "--stdin-filename", str(GENERATED / "client.py"), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, encoding="utf-8").stdout


if __name__ == "__main__":
    for file in SOURCES:
        (GENERATED / file.name).write_text(unasync(file.read_text(encoding="utf-8"), file.name), encoding="utf-8")
