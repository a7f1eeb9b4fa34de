"""``espalier models``, ``tasks`` and ``methods``: what a job on a service can name."""

from typing import TYPE_CHECKING

from espalier.cli.output import notify, print_json, print_table
from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.models import Method, ModelList, Task


@with_service
def models(context: ServiceContext) -> None:
    """List the models that a job can name: those at hand, and which of the hub.

    Example: espalier models
    """
    with context.client() as client:
        found = client.models()
    if context.as_json:
        print_json(found.model_dump_json(indent=2))
        return
    if found.data:
        print_table(_models_table(found))
    else:
        notify("the service has no models of its own; ESPALIER_MODELS_DIR names a folder of them")
    types = ", ".join(found.model_types)
    notify(
        f"and any of the hub of these types: {types}"
        if found.hub
        else f"the hub is not used; types that can be pruned: {types}"
    )


@with_service
def tasks(context: ServiceContext) -> None:
    """List the tasks known by name, with their defaults.

    Example: espalier tasks
    """
    with context.client() as client:
        found = client.tasks()
    context.print_list(found, lambda: _tasks_table(found))


@with_service
def methods(context: ServiceContext) -> None:
    """List the pruning methods, with their defaults.

    Example: espalier methods
    """
    with context.client() as client:
        found = client.methods()
    context.print_list(found, lambda: _methods_table(found))


def _models_table(found: "ModelList") -> "Table":
    from rich.table import Column, Table

    table = Table(Column("model", no_wrap=True), "type", Column("masked weights", justify="right"), "", box=None)
    for model in found.data:
        weights = f"{model.masked_weights:,}" if model.masked_weights is not None else ""
        table.add_row(model.name, model.model_type or "", weights, model.problem or "")
    return table


def _tasks_table(found: "list[Task]") -> "Table":
    from rich.table import Table

    table = Table("task", "kind", "label words", "metrics", "epochs", "batch", "length", "data here", box=None)
    for task in found:
        words = (task.name, task.kind, ", ".join(task.label_words), ", ".join(task.metrics))
        local = "yes" if task.local else "no"
        table.add_row(*words, f"{task.epochs:g}", str(task.batch_size), str(task.max_length), local)
    return table


def _methods_table(found: "list[Method]") -> "Table":
    from rich.table import Column, Table

    table = Table(
        Column("method", no_wrap=True), "trains", "sparsity", "2:4", "learning rate", "λ", "what it does", box=None
    )
    for method in found:
        name = f"{method.name} (default)" if method.default else method.name
        rates = (f"{method.learning_rate:g}", f"{method.regularization:g}")
        two_four = "yes" if method.two_four else "no"
        table.add_row(name, method.trains, method.sparsity, two_four, *rates, method.summary)
    return table
