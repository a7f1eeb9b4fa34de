"""Optional dependencies: the extra of the distribution that contains a package, and the message on how to install it.

``pip install espalier-pruning`` is a client; the service, training and the rest are extras. Called by the command line when a
command misses a package, and by ``load_pruned`` and similar functions. A test compares the table with ``pyproject.toml``.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from types import MappingProxyType

DISTRIBUTION = "espalier-pruning"

EXTRAS = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "alembic",
                "celery",
                "cryptography",
                "fastapi",
                "httpcore",
                "httptools",
                "jinja2",
                "kombu",
                "markupsafe",
                "async_timeout",
                "matplotlib",
                "prometheus_client",
                "psycopg",
                "pydantic_settings",
                "python_multipart",
                "redis",
                "sqlalchemy",
                "starlette",
                "structlog",
                "tokenizers",
                "uvicorn",
                "uvloop",
            ),
            "server",
        ),
        **dict.fromkeys(("datasets", "google", "huggingface_hub", "scipy", "sklearn", "torch", "transformers"), "train"),
        **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "onnx"),
        **dict.fromkeys(("boto3", "botocore"), "s3"),
        "opentelemetry": "otel",
        "pyarrow": "parquet",
    }
)
"""Extra that contains a package, by import name."""


class MissingExtraError(ImportError):
    """Missing packages that an extra contains."""


def require(modules: Iterable[str]) -> None:
    """Look for packages without importing them. Raises MissingExtraError with all extras that are needed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtraError(how_to_install(missing), name=missing[0])


def how_to_install(missing: Iterable[str]) -> str:
    """``needs torch: pip install 'espalier-pruning[train]'``, for packages by import name. Raises KeyError for a

    package that no extra contains.
    """
    packages = [name.partition(".")[0] for name in missing]
    extras = ",".join(sorted({EXTRAS[package] for package in packages}))
    return f"needs {', '.join(packages)}, which the client alone does not have: pip install '{DISTRIBUTION}[{extras}]'"


def explain(error: ImportError) -> str | None:
    """What to install for an import that failed; None where no extra contains it."""
    if isinstance(error, MissingExtraError):
        return str(error)
    package = (error.name or "").partition(".")[0]
    return how_to_install([package]) if isinstance(error, ModuleNotFoundError) and package in EXTRAS else None
