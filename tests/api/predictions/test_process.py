"""Command line and environment of the prediction process; ``test_service`` has requests and responses."""

from pathlib import Path

from api.predictions.process import prediction_command, prediction_environment
from service.settings import Settings


def test_it_gets_no_credentials_and_the_settings_it_needs(tmp_path: Path) -> None:
    secrets = {"ESPALIER_DATABASE_URL": "x", "HF_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x", "PATH": "/bin"}
    assert prediction_environment(secrets, 2) == {"PATH": "/bin", "OMP_NUM_THREADS": "2"}
    settings = Settings(data_dir=tmp_path, models_dir=tmp_path, hub_enabled=False)
    assert prediction_command(settings)[-3:] == ["--models-dir", str(tmp_path), "--no-hub"]
