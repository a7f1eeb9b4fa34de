"""Tests in Triton's interpreter, which a process must have chosen before Triton is imported: see
``test_interpreted.py`` one folder up."""

import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

_INTERPRETS = os.environ.get("TRITON_INTERPRET") == "1"
INTERPRETED = ["test_gpu_pruner.py", "test_gpu_weight_update.py", "test_topk.py", "test_allocation.py", "test_adam.py"]

collect_ignore = [] if _INTERPRETS else INTERPRETED


@pytest.fixture(scope="session", autouse=True)
def _language_replaced_once_a_launch() -> Iterator[None]:
    """The interpreter replaces the functions of the language at every launch, and again at every call inside a program, which
    takes two fifths of its time. Here a launch replaces those of both modules, and calls find them replaced."""
    if not _INTERPRETS:
        yield
        return
    from triton import language
    from triton.runtime import interpreter

    replace = interpreter._patch_lang
    both = SimpleNamespace(__globals__={"language": language, "core": language.core})

    def call(function: Any, *given: Any, **options: Any) -> Any:
        return function.rewrite()(*given, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "_patch_lang", lambda function: replace(both))
        patch.setattr(interpreter.InterpretedFunction, "__call__", call)
        yield
