"""Environment variables that a trainer may see."""

import pytest

from worker.run.environment import trainer_environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ESPALIER_DATABASE_URL", "sqlite:///x"),
        ("espalier_models_dir", "/models"),
        ("CELERY_BROKER_URL", "redis://"),
        ("HF_TOKEN", "hf_x"),
        ("GITHUB_TOKEN", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_PROFILE", "x"),
        ("MY_API_KEY", "x"),
        ("DB_PASSWORD", "x"),
        ("PGPASSFILE", "x"),
        ("REDIS_URL", "redis://host"),
        ("SSH_AUTH_SOCK", "/run/agent"),
        ("SENTRY", "https://user:key@host/1"),
    ],
)
def test_hidden_variables(name: str, value: str) -> None:
    assert name not in trainer_environment({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin"),
        ("HOME", "/home/x"),
        ("HF_HOME", "/cache"),
        ("CUDA_VISIBLE_DEVICES", "0"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("HTTPS_PROXY", "http://user:password@proxy:3128"),
        ("PYTHONPATH", "/src"),
        ("SOMEWHERE", "https://host/path@v1"),
    ],
)
def test_kept_variables(name: str, value: str) -> None:
    assert trainer_environment({name: value})[name] == value


def test_visible_gpus() -> None:
    assert trainer_environment({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, gpus="2,3")["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_arithmetic_threads() -> None:
    assert "OMP_NUM_THREADS" not in trainer_environment({})
    assert trainer_environment({"OMP_NUM_THREADS": "64"}, 2) == {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
