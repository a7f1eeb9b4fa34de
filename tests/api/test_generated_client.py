"""A client generated from the OpenAPI document by a stock generator works unchanged, against a service on a socket.

The generator (``pipx install openapi-python-client``) is not among the pinned packages: it needs an older typer than ours. Without
it this is skipped.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from api.app import create_app
from service.settings import Settings
from tests.serving import serving

GENERATOR = shutil.which("openapi-python-client")
USE = """
import io
import sys
import uuid

from made import Client
from made.api.datasets import create_dataset, list_dataset_rows
from made.api.events import list_events
from made.api.jobs import cancel_job, create_job, delete_job, get_job, list_jobs
from made.models import CreateDatasetBody, JobRequest, Problem, Status
from made.types import File

client = Client(base_url=sys.argv[1])
key = str(uuid.uuid4())
asked = JobRequest(model="bert-base-uncased", task="sst2", sparsity=0.9)
made, again = (create_job.sync(client=client, body=asked, idempotency_key=key) for _ in range(2))
assert made.status == Status.QUEUED and made.id == again.id
assert made.progress.step == 0 and made.spec["seed"] == 42
assert get_job.sync(made.id, client=client) == made
assert [job.id for job in list_jobs.sync(client=client, status=Status.QUEUED, limit=5).data] == [made.id]
assert cancel_job.sync(made.id, client=client).status == Status.CANCELLED
assert [event.type_ for event in list_events.sync(made.id, client=client).data] == ["created", "status"]
assert delete_job.sync_detailed(made.id, client=client).status_code == 204
gone = get_job.sync(made.id, client=client)
assert isinstance(gone, Problem) and (gone.status, gone.code) == (404, "job_not_found")
file = File(io.BytesIO(b"text,label\\na fine film,1\\n"), "train.csv", "text/csv")
stored = create_dataset.sync(client=client, body=CreateDatasetBody(train=file))
assert list_dataset_rows.sync(stored.id, client=client, split="train").data[0].to_dict() == {"text": "a fine film", "label": 1}
"""


@pytest.mark.skipif(GENERATOR is None, reason="there is no openapi-python-client; pipx install openapi-python-client")
def test_a_generated_client(migrated_sqlite: Path, tmp_path: Path) -> None:
    assert GENERATOR is not None
    shutil.copy(migrated_sqlite, tmp_path / "test.db")
    with serving(create_app(Settings(data_dir=tmp_path, database_url=f"sqlite:///{tmp_path}/test.db"))) as url:
        generate = [GENERATOR, "generate", "--url", f"{url}/openapi.json", "--meta", "none", "--output-path", "made"]
        subprocess.run(generate, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=120)
        python = Path(GENERATOR).parent / "python"  # it has what the client needs: attrs and httpx
        used = subprocess.run([python, "-c", USE, url], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert used.returncode == 0, used.stderr
