"""Confinement of child processes: the environment variables that they may have, and the memory of their parent closed to them.

Trainers, prediction processes and upload parsers read untrusted files. They run as the user that runs the worker
or the API, so the kernel lets them read ``/proc/PARENT/environ`` unless the parent forbids it. The worker and the API call
:func:`close_process_memory` when they start, and :func:`child_environment` for every such child.
"""

import ctypes
import sys
from collections.abc import Mapping, Sequence

_PR_SET_DUMPABLE = 4
_LOCAL = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR VIRTUAL_ENV LD_LIBRARY_PATH LD_PRELOAD LIBRARY_PATH CPATH CC CXX "
    "PYTHONPATH PYTHONHOME PYTHONUNBUFFERED PYTHONDONTWRITEBYTECODE PYTHONUTF8 PYTHONHASHSEED PYTHONWARNINGS "
    "MALLOC_ARENA_MAX".split()
)
_HUB = frozenset(  # a proxy may need its password to reach the hub; HF_TOKEN, the operator's, is left out
    "SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY "
    "HF_HOME HF_HUB_CACHE HF_XET_CACHE HF_ASSETS_CACHE HF_DATASETS_CACHE HUGGINGFACE_HUB_CACHE HF_ENDPOINT HF_HUB_OFFLINE "
    "HF_DATASETS_OFFLINE HF_HUB_ETAG_TIMEOUT HF_HUB_DOWNLOAD_TIMEOUT HF_HUB_DISABLE_TELEMETRY HF_HUB_DISABLE_XET "
    "HF_HUB_DISABLE_PROGRESS_BARS HF_HUB_ENABLE_HF_TRANSFER HF_DATASETS_DISABLE_PROGRESS_BARS TRANSFORMERS_CACHE "
    "TRANSFORMERS_OFFLINE TRANSFORMERS_VERBOSITY TOKENIZERS_PARALLELISM DO_NOT_TRACK".split()
)
_COMPUTE = frozenset(
    "CUDA_VISIBLE_DEVICES CUDA_DEVICE_ORDER CUDA_HOME CUDA_PATH CUDA_CACHE_PATH CUDA_CACHE_DISABLE CUDA_CACHE_MAXSIZE "
    "CUDA_LAUNCH_BLOCKING CUDA_MODULE_LOADING CUBLAS_WORKSPACE_CONFIG NVIDIA_VISIBLE_DEVICES NVIDIA_DRIVER_CAPABILITIES "
    "TORCH_HOME TORCHINDUCTOR_CACHE_DIR PYTORCH_CUDA_ALLOC_CONF PYTORCH_ALLOC_CONF PYTORCH_NVML_BASED_CUDA_CHECK "
    "TRITON_CACHE_DIR TRITON_PTXAS_PATH TRITON_INTERPRET XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_RUNTIME_DIR "
    "MKL_NUM_THREADS OPENBLAS_NUM_THREADS ATEN_CPU_CAPABILITY GLOO_SOCKET_IFNAME NCCL_DEBUG NCCL_SOCKET_IFNAME "
    "NCCL_P2P_DISABLE NCCL_IB_DISABLE NCCL_SHM_DISABLE".split()
)
_PREFIXES = ("LC_", "OMP_", "KMP_", "GOMP_")


def child_environment(
    variables: Mapping[str, str], own: Mapping[str, str | int | None], *, local: bool = False, further: Sequence[str] = ()
) -> dict[str, str]:
    """Environment of a child that reads untrusted files: the allowed ones of ``variables``, with ``own`` over

    them. Everything else is left out: a list of secret names would never be complete. ``local``: for a
    child that needs neither the hub nor a GPU. ``further``: names that the operator allows. None in ``own`` changes nothing.
    """
    names = _LOCAL.union(further) if local else _LOCAL.union(_HUB, _COMPUTE, further)
    allowed = {key: value for key, value in variables.items() if key.upper() in names or key.startswith(_PREFIXES)}
    return allowed | {name: str(value) for name, value in own.items() if value is not None}


def close_process_memory() -> None:
    """Close this process's memory, and the environment it was started with, to other processes of the same user (Linux).

    Neither ``/proc/PID/environ`` nor ``/proc/PID/mem`` nor a debugger is open to them then, and no core file is written. A
    program that is started from here is open again, and root may read everything still. Raises OSError.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")
