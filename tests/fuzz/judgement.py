"""Judgement of one input of the fuzz test by its refusal, or by exit code and last event of the program.

Called by :mod:`tests.fuzz.cases`. Accepted are success and named errors; never an unexpected exception, and never an error that
admission could have found on the disk.
"""

import re
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from api.errors.catalog import PROBLEMS, find_response
from api.errors.failures import FAILURES, FAULTS
from pruning.errors import PermanentError
from pruning.events import ErrorEvent, ExitCode, parse_line

LATE_CODES = {"diverged", "out_of_memory", "model_weights_damaged", "model_invalid"}
"""Codes of a trainer's failure that admission need not know: they depend on the machine, on the values of weights, or on what the
tokenizer class of transformers makes of files that are valid in themselves. Counted as ``late``; any other code after admission
is a failure."""


@dataclass
class Result:
    """What came of an input."""

    number: int
    kind: str
    what: list[str] = field(default_factory=list)
    """The mutations, in words."""
    outcome: str = ""
    """``ok``, ``refused CODE``, ``failed CODE``."""
    failure: str = ""
    """Which rule was broken; empty: none was."""
    detail: str = ""


def judge_refusal(result: Result, fault: Exception) -> None:
    """An error of admission must be one that the API answers with a code of its table."""
    trace = "".join(traceback.format_exception(fault))
    if find_response(fault) is None:
        result.failure, result.detail = signature(f"500 {type(fault).__name__}", trace), trace
    elif isinstance(fault, PermanentError):
        result.outcome = f"refused {fault.code}"
        _check_error(result, fault.code, fault.message)


def judge_exit(result: Result, folder: Path, code: int, *, accepted: bool) -> None:
    """A program must succeed or end with an error event; with one that had to be late, where admission ``accepted`` its input."""
    lines = (folder / "stdout").read_bytes().splitlines()
    last = parse_line(lines[-1]) if lines else None
    errors = (folder / "stderr").read_text("utf-8", "replace")
    if code == ExitCode.OK:
        result.outcome = result.outcome or "ok"
        return
    if code not in (ExitCode.PERMANENT, ExitCode.TEMPORARY) or not isinstance(last, ErrorEvent):
        result.failure, result.detail = signature(f"exit {code}", errors), errors[-4000:]
        return
    result.outcome = result.outcome or f"failed {last.code}"
    _check_error(result, last.code, last.message)
    if accepted and last.code in LATE_CODES:
        result.outcome, result.detail = f"late {last.code}", f"{last.param}: {last.message}"
    elif accepted:
        result.failure = f"accepted, then {last.code} ({last.message[:60]})"
        result.detail = f"{last.param}: {last.message}"


def _check_error(result: Result, code: str, message: str) -> None:
    if (code not in FAILURES and code not in FAULTS and code not in PROBLEMS) or code == "trainer_bug":
        result.failure = f"code {code} is in no table"
    elif not message.strip():
        result.failure = f"code {code} without a message"


def signature(kind: str, trace: str) -> str:
    """A failure's name, the same for the same fault: the error, and the last line of ours that it passed."""
    places = re.findall(r'File "[^"]*/((?:pruning|api|service)/[^"]+)", line \d+, in (\S+)', trace)
    last = [line for line in trace.splitlines() if re.match(r"\w[\w.]*(Error|Exception|Exit)\b", line)]
    place = "{}:{}".format(*places[-1]) if places else "elsewhere"
    return f"{kind} at {place} ({re.sub(r'[0-9]+', 'N', last[-1])[:70] if last else ''})"
