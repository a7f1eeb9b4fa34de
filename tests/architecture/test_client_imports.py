"""Imports of the installed client: no server package comes with ``import espalier`` or the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import free_port

SERVER_PACKAGES = ("fastapi", "sqlalchemy", "celery", "redis", "torch", "transformers", "pydantic_settings", "uvicorn")
PROGRAM = """
import sys
arguments = sys.argv[1:]
import espalier
if arguments == ["import"]:
    espalier.Client, espalier.AsyncClient, espalier.Timeouts, espalier.Job
else:
    from espalier.cli.main import main
    sys.argv = ["espalier", *arguments]
    try:
        main()
    except SystemExit as end:
        print("exit code", end.code, file=sys.stderr)
print(*sorted(name for name in {packages!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "ending"),
    [(["import"], ""), (["--help"], "exit code 0"), (["jobs", "--url", "http://127.0.0.1:{port}"], "exit code 3")],
)
def test_a_client_loads_no_server_package(arguments: list[str], ending: str, tmp_path: Path) -> None:
    filled = [argument.format(port=free_port()) for argument in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{packages!r}", repr(SERVER_PACKAGES)), *filled],
        cwd=tmp_path,
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *before, loaded = done.stderr.splitlines()
    assert loaded == ""
    assert ending in "\n".join(before)
