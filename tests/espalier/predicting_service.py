"""A service that predicts with a stand-in for its model: the label of a text ends with the text, its value numbers the request."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api.app import create_app
from api.predictions.service import PredictionService
from service.settings import Settings
from tests.api.conftest import Jobs
from tests.api.predictions.test_service import FAKE
from tests.serving import serving


@contextmanager
def predicting_service(folder: Path, jobs: Jobs, **settings: Any) -> Iterator[str]:
    """Its address."""
    app = create_app(Settings(data_dir=folder, database_url=jobs.database.url, predictions_enabled=True, **settings))
    services = app.state.services
    service = PredictionService(services.settings, services.database, lambda _: [sys.executable, str(FAKE)])
    app.state.services = type(services)(**{**vars(services), "predictions": service})
    with serving(app) as url:
        yield url
    service.close()
