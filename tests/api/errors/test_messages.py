"""Wording of error messages: ``messages.txt`` has every sentence by which a spec, the service or the HTTP interface refuses.

Other tests assert codes, fields and values. A change of words is one diff of that file, which
``python -m tests.api.errors.test_messages`` writes.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.processes import ROOT

SNAPSHOT = Path(__file__).with_name("messages.txt")
SOURCES = (
    "pruning/spec/*_rules.py",
    "pruning/spec/rules.py",
    "pruning/spec/start.py",
    "pruning/spec/custom_task.py",
    "pruning/spec/wording.py",
)
CLASSES = ("service/errors.py", "api/errors/exceptions.py")
"""Modules whose class docstrings are default messages."""


def text_of(node: ast.AST) -> str | None:
    """A string, or an f-string with ``{}`` for its values; None for other expressions."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def sentences(path: Path, *, classes: bool) -> Iterator[str]:
    """Strings of at least four words in a module, without docstrings of functions and modules."""
    tree = ast.parse(path.read_bytes())
    documented = [n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.ClassDef | ast.FunctionDef)]
    docstrings = {id(n.body[0].value) for n in documented if n.body and isinstance(n.body[0], ast.Expr)}
    docstrings |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    if classes:
        yield from ((ast.get_docstring(n) or "").partition("\n")[0] for n in documented if isinstance(n, ast.ClassDef))
    inside = {id(part) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for part in ast.walk(n) if part is not n}
    described = {
        id(part) for n in ast.walk(tree) if isinstance(n, ast.keyword) and n.arg == "description" for part in ast.walk(n.value)
    }
    for node in ast.walk(tree):
        text = text_of(node)
        if text is not None and text.count(" ") >= 3 and id(node) not in docstrings | inside | described:
            yield " ".join(text.split())


def found() -> list[str]:
    listed = [(path, False) for pattern in SOURCES for path in sorted(ROOT.glob(pattern))] + [
        (ROOT / name, True) for name in CLASSES
    ]
    return [f"{path.relative_to(ROOT)}: {text}" for path, classes in listed for text in sorted({*sentences(path, classes=classes)})]


def test_messages_are_those_of_the_snapshot() -> None:
    assert found() == SNAPSHOT.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    SNAPSHOT.write_text("\n".join(found()) + "\n", encoding="utf-8")
