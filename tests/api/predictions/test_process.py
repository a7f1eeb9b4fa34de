"""Command line and environment of the prediction process; ``test_service`` has requests and responses."""

import os
import sys
import time
from pathlib import Path

from structlog.contextvars import bound_contextvars

from api.predictions.process import PredictionProcess, prediction_command, prediction_environment
from service.settings import Settings
from tests.json_logs import logged
from tests.waiting import wait_until


def test_it_gets_no_credentials_and_the_settings_it_needs(tmp_path: Path) -> None:
    secrets = {"ESPALIER_DATABASE_URL": "x", "HF_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x", "PATH": "/bin"}
    assert prediction_environment(secrets, 2) == {"PATH": "/bin", "OMP_NUM_THREADS": "2"}
    settings = Settings(data_dir=tmp_path, models_dir=tmp_path, hub_enabled=False)
    assert prediction_command(settings)[-3:] == ["--models-dir", str(tmp_path), "--no-hub"]


def test_what_it_writes_to_standard_error_is_logged_and_belongs_to_no_request() -> None:
    program = "import sys; sys.stderr.write('a warning\\n'); sys.stderr.flush(); print('{}', flush=True); sys.stdin.read()"
    with logged() as lines, bound_contextvars(request_id="req_1"):
        process = PredictionProcess([sys.executable, "-c", program], os.environ)
        assert process.request(b"{}", time.monotonic() + 60) == b"{}"
        wait_until(lambda: lines, what="the line")
        process.close()
    assert [(line["event"], line.get("request_id")) for line in lines] == [("predictor: a warning", None)]
