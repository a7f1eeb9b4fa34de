"""Environment variables that a trainer may see."""

from pathlib import Path

import pytest

from service.settings import Settings
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
        ("DB_PASS", "x"),
        ("MYSQL_PWD", "x"),
        ("SIGNING_KEY", "x"),
        ("GITHUB_PAT", "x"),
        ("SSH_PASSPHRASE", "x"),
        ("SLACK_WEBHOOK_URL", "https://host/x"),
        ("SOMETHING_NEW", "x"),
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
        ("https_proxy", "http://proxy:3128"),
        ("LC_ALL", "C.UTF-8"),
        ("OMP_PROC_BIND", "true"),
        ("TRITON_CACHE_DIR", "/cache/triton"),
    ],
)
def test_kept_variables(name: str, value: str) -> None:
    assert trainer_environment({name: value})[name] == value


def test_visible_gpus() -> None:
    assert trainer_environment({"CUDA_VISIBLE_DEVICES": "0,1,2,3"}, gpus="2,3")["CUDA_VISIBLE_DEVICES"] == "2,3"


def test_arithmetic_threads() -> None:
    assert "OMP_NUM_THREADS" not in trainer_environment({})
    assert trainer_environment({"OMP_NUM_THREADS": "64"}, 2) == {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}


def test_variables_that_the_operator_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_TRAINER_VARIABLES", "nccl_algo, EFA_X")
    settings = Settings(data_dir=tmp_path)
    given = {"NCCL_ALGO": "Ring", "EFA_X": "1", "OTHER": "x"}
    kept = trainer_environment(given, further=settings.trainer_variables)
    assert kept == {"NCCL_ALGO": "Ring", "EFA_X": "1", "OMP_WAIT_POLICY": "PASSIVE"}
