"""Trainer environment: the worker's environment variables without credentials and without the service's settings.

Called by ``worker.run.preparation``. A trainer reads files that strangers published; it must not hold the keys of the service.
"""

import re
from collections.abc import Mapping

from service import failpoints

_SECRET_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|AUTH|BROKER|DATABASE|DSN|^PG|^REDIS|^AWS_"
)
_URL_WITH_PASSWORD = re.compile(r"://[^/\s@]*:[^/\s@]+@")
_TOKENIZER_SWITCHES = frozenset({"TOKENIZERS_PARALLELISM"})  # contains TOKEN, is none


def trainer_environment(
    environment: Mapping[str, str], threads: int | None = None, gpus: str | None = None
) -> dict[str, str]:
    """A copy without Espalier's settings and without anything that looks like a credential.

    ``threads`` limits the arithmetic threads of the trainer; None leaves that to the libraries. ``gpus`` is its
    ``CUDA_VISIBLE_DEVICES``.
    """
    clean = {name: value for name, value in environment.items() if not _private(name, value)}
    clean |= {name: environment[name] for name in (failpoints.AT, failpoints.ONCE) if name in environment}  # tests only
    # Threads that spin while they wait take the core from other trainers: on shared cores a run takes several times longer.
    clean["OMP_WAIT_POLICY"] = "PASSIVE"
    if threads is not None:
        clean["OMP_NUM_THREADS"] = str(threads)
    if gpus is not None:
        clean["CUDA_VISIBLE_DEVICES"] = gpus
    return clean


def _private(name: str, value: str) -> bool:
    name = name.upper()
    if name in _TOKENIZER_SWITCHES or name.endswith("_PROXY"):  # a proxy may need its password to reach the model hub
        return False
    return name.startswith(("ESPALIER_", "CELERY_")) or bool(
        _SECRET_NAME.search(name) or _URL_WITH_PASSWORD.search(value)
    )
