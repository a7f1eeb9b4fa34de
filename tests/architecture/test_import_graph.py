"""Import graph of the product: no circle, imports for type checking and inside functions included."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "benchmarks", "demo", "espalier", "migrations", "pruning", "scripts", "service", "worker")


def modules() -> dict[str, Path]:
    """Every module of the product by its dotted name; a package stands for its ``__init__``."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return dict(zip(names, files, strict=True))


def imports(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """The modules of ``known`` that a module imports anywhere in its text."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in known)
            case ast.ImportFrom(module=str() as module, names=names):
                for alias in names:
                    inner = f"{module}.{alias.name}"
                    if inner in known or module in known:
                        yield inner if inner in known else module


def graph(known: dict[str, Path]) -> dict[str, set[str]]:
    return {name: set(imports(ast.parse(file.read_text("utf-8")), known)) for name, file in known.items()}


def test_no_module_imports_itself_through_others() -> None:
    found = graph(modules())
    assert found["api.app"], "nothing was read"
    try:
        TopologicalSorter(found).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(reversed(circle.args[1])))


def test_no_two_subpackages_import_each_other() -> None:
    """A circle of folders, which a reader meets as one even where the modules in them make none."""

    def folder(name: str) -> str:
        return ".".join(name.split(".")[:2])

    arrows = {(folder(name), folder(to)) for name, targets in graph(modules()).items() for to in targets}
    both = sorted((a, b) for a, b in arrows if a < b and (b, a) in arrows and a.split(".")[0] == b.split(".")[0])
    assert not both


def test_a_circle_is_found(tmp_path: Path) -> None:
    known = {"a": tmp_path / "a.py", "b": tmp_path / "b.py"}
    known["a"].write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from b import B\n")
    known["b"].write_text("def late():\n    import a\n")
    with pytest.raises(CycleError):
        TopologicalSorter(graph(known)).prepare()
