"""``espalier tasks`` and ``espalier methods``: what a service can be asked for."""

from espalier.cli import options
from espalier.cli.output import list_json, show


def tasks(
    url: options.Url = options.DEFAULT_URL, api_key: options.ApiKey = None, as_json: options.AsJson = False
) -> None:
    """List the tasks known by name, with their defaults.

    Example: espalier tasks
    """
    with options.client(url, api_key) as client:
        found = client.tasks()
    if as_json:
        print(list_json(found))
        return
    from rich.table import Table

    table = Table("task", "kind", "label words", "metrics", "epochs", "batch", "length", "data here", box=None)
    for task in found:
        words = (task.name, task.kind, ", ".join(task.label_words), ", ".join(task.metrics))
        local = "yes" if task.local else "no"
        table.add_row(*words, f"{task.epochs:g}", str(task.batch_size), str(task.max_length), local)
    show(table)


def methods(
    url: options.Url = options.DEFAULT_URL, api_key: options.ApiKey = None, as_json: options.AsJson = False
) -> None:
    """List the pruning methods, with their defaults.

    Example: espalier methods
    """
    with options.client(url, api_key) as client:
        found = client.methods()
    if as_json:
        print(list_json(found))
        return
    from rich.table import Column, Table

    table = Table(
        Column("method", no_wrap=True), "trains", "sparsity", "2:4", "learning rate", "λ", "what it does", box=None
    )
    for method in found:
        name = f"{method.name} (default)" if method.default else method.name
        rates = (f"{method.learning_rate:g}", f"{method.regularization:g}")
        two_four = "yes" if method.two_four else "no"
        table.add_row(name, method.trains, method.sparsity, two_four, *rates, method.summary)
    show(table)
