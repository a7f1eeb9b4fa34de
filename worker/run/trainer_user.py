"""User of the trainers, where it differs from the worker's: tested before the first job, so that no job fails because of it.

Called by ``worker.app`` when it starts and by ``worker.run.preparation`` for each attempt.
"""

import json
import logging
import os
import time
from collections.abc import Mapping

from pruning.processes.bootstrap import python_command
from pruning.processes.child import ChildProcess, format_exit
from pruning.processes.confinement import child_environment
from pruning.processes.pipe_lines import PipeLines
from service.settings import Settings
from worker.files.trainer_access import home_folder, open_data_folder, tokens_folder

_CACHES = (
    "HF_HOME HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_DATASETS_CACHE HF_XET_CACHE HF_ASSETS_CACHE TORCH_HOME TRITON_CACHE_DIR "
    "TORCHINDUCTOR_CACHE_DIR CUDA_CACHE_PATH XDG_CACHE_HOME".split()
)
"""Variables that name folders to which trainers write."""
_NAME = "espalier-trainer"
_PROBE_SECONDS = 60.0
_END_SECONDS = 5.0
log = logging.getLogger(__name__)


class TrainerUserError(Exception):
    """Trainers cannot run as the user of ESPALIER_TRAINER_USER."""


def prepare_trainer_user(settings: Settings) -> None:
    """Make this process a member of the trainers' group, open the data folder to them, and try a process of theirs.

    Without another user only a warning where trainers are root. Raises TrainerUserError that names the remedy.
    """
    if settings.trainer_ids is None:
        if os.geteuid() == 0:
            log.warning("trainers run as root, as this worker does; set ESPALIER_TRAINER_USER to a user of their own")
        return
    user, group = settings.trainer_ids
    if user == os.geteuid():
        raise TrainerUserError(f"ESPALIER_TRAINER_USER={user}:{group} is the worker's own user; set another")
    try:
        os.setgroups(sorted({*os.getgroups(), group}))
        open_data_folder(settings)
        _try_process(settings)
    except (OSError, ValueError) as error:
        raise TrainerUserError(
            f"ESPALIER_TRAINER_USER={user}:{group} is not possible: {error}; start the worker as root or with the capabilities "
            f"SETUID, SETGID and KILL, and let it own {settings.data_dir}"
        ) from error
    log.info("trainers run as user %d, group %d", user, group)


def as_trainer_user(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """``environment`` of a trainer with a home and a name of its own, where it is another user's."""
    if settings.trainer_ids is None:
        return dict(environment)
    kept = {name: value for name, value in environment.items() if name != "XDG_RUNTIME_DIR"}
    return kept | {"HOME": str(home_folder(settings.data_dir)), "USER": _NAME, "LOGNAME": _NAME}


def _try_process(settings: Settings) -> None:
    """Start a process of that user, ask it for the folders that it cannot use, kill it. Raises OSError, TrainerUserError."""
    environment = as_trainer_user(child_environment(os.environ, {}), settings)
    readable = [str(folder) for folder in (settings.models_dir, settings.datasets_dir) if folder is not None]
    writable = [environment[name] for name in _CACHES if name in environment]
    writable += [str(home_folder(settings.data_dir)), str(tokens_folder(settings.data_dir))]
    command = python_command("pruning.processes.access_probe", *readable, "--", *writable)
    with ChildProcess(command, environment, user=settings.trainer_ids) as probe:
        try:
            found = json.loads(PipeLines(probe.stdout).read_line(time.monotonic() + _PROBE_SECONDS))
        except (TimeoutError, EOFError) as error:
            code = probe.reap()
            raise OSError(
                f"a process of that user does not start ({format_exit(code)}); it must be able to read this Python and our packages"
            ) from error
        probe.kill()
        if probe.wait(_END_SECONDS) is None:
            probe.close_stdin()  # it exits then
            raise OSError("a process of that user cannot be ended")
    if (found["user"], found["group"]) != settings.trainer_ids:
        raise OSError(f"its processes are user {found['user']}, group {found['group']}")
    if found["closed"]:
        raise TrainerUserError(
            f"trainers of ESPALIER_TRAINER_USER={settings.trainer_user} cannot use {', '.join(found['closed'])}; change the owner "
            "or the permissions of these folders"
        )
