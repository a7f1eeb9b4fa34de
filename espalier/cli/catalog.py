"""``espalier tasks`` and ``methods``: tasks and methods that a job on a service can name."""

from typing import TYPE_CHECKING

from espalier.cli.service_context import ServiceContext, with_service

if TYPE_CHECKING:
    from rich.table import Table

    from espalier.client.models import Method, Task


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

    table = Table(Column("method", no_wrap=True), "trains", "sparsity", "2:4", "learning rate", "λ", "description", box=None)
    for method in found:
        name = f"{method.name} (default)" if method.default else method.name
        rates = (f"{method.learning_rate:g}", f"{method.regularization:g}")
        two_four = "yes" if method.two_four else "no"
        table.add_row(name, method.trains, method.sparsity, two_four, *rates, method.summary)
    return table
