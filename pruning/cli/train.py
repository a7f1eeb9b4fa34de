"""``python -m pruning train``: a spec trained to a mask, on one device or, through torchrun, on several.

Called by :mod:`pruning.cli.main`. Torch is imported late: it takes two seconds, and a faulty spec is reported at once.
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from pruning import failpoints
from pruning.cli import torchrun
from pruning.cli.environment import quick_imports, silence_libraries, sources_from_arguments, use_passive_threads, watch_stdin
from pruning.cli.program import EventWriter, StopRequest, exit_code_of
from pruning.errors import PermanentError
from pruning.events import ExitCode
from pruning.files import file_sha256
from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec


def run_train(arguments: argparse.Namespace) -> ExitCode:
    """The ``train`` command."""
    use_passive_threads()
    emit = EventWriter()
    should_stop = StopRequest()
    if arguments.launcher is not None:
        torchrun.exit_with_launcher(arguments.launcher)

    def work() -> None:
        spec = _read_spec(arguments.spec, arguments.init_mask)
        if spec.devices > 1 and not torchrun.is_rank():
            emit.restore_stdout()
            torchrun.exec_launcher(spec.devices, sys.argv[1:])
        if arguments.watch_stdin:
            watch_stdin()
        with quick_imports():
            from pruning.training.distributed import join_process_group
            from pruning.training.train import train

            silence_libraries()
        process_group = join_process_group(spec.devices)
        emit.is_reporter = process_group.is_reporter
        sources = sources_from_arguments(arguments)
        train(spec, arguments.work, sources, emit, should_stop, process_group, arguments.exports or ())
        process_group.close()
        failpoints.hit(failpoints.Failpoint.LEAVING)

    return exit_code_of(work, emit)


def _read_spec(path: Path, init_mask: Path | None) -> PruningSpec:
    try:
        spec = PruningSpec.model_validate_json(path.read_bytes())
        if init_mask is None or spec.init_from is not None:
            return spec
        return PruningSpec.model_validate(spec.model_dump() | {"init_from": file_sha256(init_mask)})
    except ValidationError as refusal:
        fault = error_details(refusal, PruningSpec)[0]
        if (fault["param"], fault["code"]) == ("method", "literal_error"):
            note = "a method of another package has to be installed where the run is"
            raise PermanentError(f"{fault['message']}; {note}", code="method_unavailable", param="method") from refusal
        raise PermanentError(fault["message"], code=fault["code"], param=fault["param"]) from refusal
    except OSError as fault:
        what = "spec" if init_mask is None else "spec or the mask to start from"
        raise PermanentError(f"the {what} cannot be read: {fault}", code="spec_unreadable") from fault
