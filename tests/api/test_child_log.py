"""Standard error of child processes in the API's log: whole lines, within bounds, with the request that they belong to."""

import subprocess
import sys

from structlog.contextvars import bound_contextvars

from api.child_log import logged_stderr
from tests.json_logs import logged
from tests.waiting import wait_until


def lines_of(program: str) -> list[tuple[str, str | None]]:
    """Messages and request ids that a Python program causes."""
    with logged() as lines:
        with bound_contextvars(request_id="req_1"), logged_stderr("predictor") as stderr:
            child = subprocess.Popen([sys.executable, "-c", f"import sys; {program}; sys.stderr.write('end')"], stderr=stderr)
        child.wait(60)
        wait_until(lambda: any(line["event"].endswith((": end", "not logged")) for line in lines), what="the last line")
    return [(line["event"], line.get("request_id")) for line in lines]


def test_each_line_is_one_of_the_log() -> None:
    assert lines_of("sys.stderr.write('Traceback:\\n  deep\\n\\n')") == [
        ("predictor: Traceback:", "req_1"),
        ("predictor:   deep", "req_1"),
        ("predictor: end", "req_1"),
    ]


def test_a_flood_is_cut_off() -> None:
    lines = lines_of("[sys.stderr.write('x' * 5000 + '\\n') for _ in range(1000)]")
    assert len(lines) == 201
    assert len(lines[0][0]) == len("predictor: ") + 2000
    assert lines[-1][0] == "predictor: further lines are not logged"
