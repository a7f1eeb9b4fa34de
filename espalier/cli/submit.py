"""``espalier submit``: post a job and leave."""

from espalier.cli import options
from espalier.cli.output import job_json


def submit(
    model: options.Model = None,
    task: options.Task = None,
    sparsity: options.Sparsity = None,
    method: options.Method = None,
    fields: options.Fields = None,
    spec_file: options.SpecFile = None,
    url: options.Url = options.DEFAULT_URL,
    api_key: options.ApiKey = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit a job and print its id.

    Example: espalier submit bert-base-uncased sst2 --sparsity 0.9 --set epochs=2
    """
    spec = options.spec_from(model, task, sparsity, method, fields, spec_file)
    with options.client(url, api_key) as client:
        job = client.submit(**spec)
    print(job_json(job) if as_json else job.id)
