"""Trainer environment: the few environment variables of the worker that a trainer may have, and its share of the machine.

Called by ``worker.run.preparation``. A trainer reads untrusted files; it must not hold the keys of the service.
"""

from collections.abc import Mapping, Sequence

from pruning.processes.confinement import child_environment
from service import failpoints


def trainer_environment(
    environment: Mapping[str, str], threads: int | None = None, gpus: str | None = None, further: Sequence[str] = ()
) -> dict[str, str]:
    """The variables of ``environment`` on the list of harmless ones, which has none of Espalier's settings.

    ``threads`` limits the arithmetic threads of the trainer; None leaves that to the libraries. ``gpus`` is its
    ``CUDA_VISIBLE_DEVICES``; ``further`` are names that the operator allows.
    """
    tests_only = {name: environment[name] for name in (failpoints.AT, failpoints.ONCE) if name in environment}
    # Threads that spin while they wait take cores from other trainers: on shared cores a run takes several times longer.
    own: dict[str, str | int | None] = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": gpus}
    own |= tests_only
    return child_environment(environment, own, further=further)
