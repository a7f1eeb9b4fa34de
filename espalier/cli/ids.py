"""Ids on the command line: a unique beginning or ``last`` stands for a whole id, and the shell completes them.

Arguments of the types below reach a command as whole ids: :func:`espalier.cli.service_context.with_service` resolves them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier.cli.credentials import key_for
from espalier.cli.options import DEFAULT_URL

if TYPE_CHECKING:
    from espalier.client._sync.client import Client

LAST = "last"
_NEWEST = 1000
"""Number of newest resources in which a beginning is looked up; older ones need their whole id."""
_PAGE = 100
_OFFERED = 50
"""Most ids offered to the shell."""
_NAMED = 3
"""Most ids in the message about an ambiguous beginning."""


@dataclass(frozen=True)
class IdKind:
    """Kind of resource that an argument identifies."""

    name: str
    prefix: str
    whole: str
    """Regular expression of an id that is complete."""
    newest: "Callable[[Client, int], Iterable[Any]]"
    """The resources of this kind, newest first, asked for in pages of so many."""
    word: Callable[[Any], str]
    """Description by which a person recognises the resource."""

    def is_whole(self, text: str) -> bool:
        """Whether ``text`` is an id and not a part of one, or nothing at all, which the service refuses."""
        return not text or re.fullmatch(self.whole, text) is not None


def _jobs(client: "Client", page: int) -> Iterator[Any]:
    all_kinds = client.list(limit=page), *(client.list(limit=page, kind=kind) for kind in ("export", "evaluation"))
    return chain(*(islice(jobs, _NEWEST) for jobs in all_kinds)) if page > 1 else all_kinds[0]


def _uploaded(client: "Client") -> Iterator[Any]:
    listed = (model.model_copy(update={"id": model.name}) for model in client.models().data)
    return (model for model in listed if model.name.startswith("mdl_"))


def _job_word(job: Any) -> str:
    return " ".join(str(each) for each in (job.status, job.spec.get("model", "")) if each)


_ULID = "[0-9a-z]{26}"
JOB = IdKind("job", "job_", f"job_{_ULID}", _jobs, _job_word)
DATASET = IdKind("data set", "ds_", "ds_[0-9a-f]{32}", lambda client, _: client.datasets(), lambda each: each.name or "")
MODEL = IdKind("model", "mdl_", "mdl_[0-9a-f]{32}", lambda client, _: _uploaded(client), lambda each: each.title or "")
MASK = IdKind("mask", "msk_", "msk_[0-9a-f]{32}", lambda client, _: client.uploaded_masks(), lambda each: each.name or "")
SWEEP = IdKind("sweep", "swp_", f"swp_{_ULID}", lambda client, _: client.sweeps(), lambda each: each.status)
WEBHOOK = IdKind("webhook", "whk_", f"whk_{_ULID}", lambda client, _: client.webhooks(), lambda each: each.url)


def resolve(client: "Client", kind: IdKind, text: str) -> str:
    """The whole id that ``text`` stands for: itself, ``last``, or a beginning that one of the newest has.

    Text that no id begins with is returned unchanged, for the service to refuse. Raises typer.BadParameter for a beginning that
    several have, and for ``last`` where there is none.
    """
    if kind.is_whole(text) or (kind is JOB and MASK.is_whole(text)):  # --from takes both; elsewhere the service refuses a mask
        return text
    if text == LAST:
        newest = next(iter(kind.newest(client, 1)), None)
        if newest is None:
            raise typer.BadParameter(f"there is no {kind.name} yet")
        return str(newest.id)
    start = text if text.startswith(kind.prefix) else f"{kind.prefix}{text}"
    known = [each.id for each in islice(kind.newest(client, _PAGE), 3 * _NEWEST)]
    if text in known:
        return text
    found = sorted({each for each in known if each.startswith(start)})
    if len(found) > 1:
        named = ", ".join(found[:_NAMED]) + (", …" if len(found) > _NAMED else "")
        raise typer.BadParameter(f"{len(found)} begin with {text!r}: {named}; give more of the id")
    return found[0] if found else text


def _completion(kind: IdKind) -> Callable[[typer.Context, str], list[tuple[str, str]]]:
    def complete(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
        return list(_complete(kind, ctx.params, incomplete))

    return complete


def _complete(kind: IdKind, given: dict[str, Any], incomplete: str) -> Iterator[tuple[str, str]]:
    """Ids with this beginning, each with a description; none where the service is unreachable, because a shell shows no errors."""
    from espalier.client._sync.client import Client
    from espalier.client.timeouts import Timeouts
    from espalier.errors import EspalierError

    url = given.get("url") or DEFAULT_URL
    if LAST.startswith(incomplete):
        yield LAST, "the newest"
    try:
        with Client(url, key_for(url, given.get("api_key")), retries=0, timeouts=Timeouts(connect=1, read=2)) as client:
            for each in islice(kind.newest(client, _PAGE), _OFFERED):
                if each.id.startswith(incomplete):
                    yield each.id, kind.word(each)
    except (EspalierError, OSError, typer.BadParameter):
        return


def _argument(metavar: str, kind: IdKind, source: str) -> Any:
    help_text = f"Id of a {kind.name}, e.g. from: {source}; a beginning that no other has, or last"
    return typer.Argument(metavar=metavar, help=help_text, autocompletion=_completion(kind))


JobId = Annotated[str, _argument("JOB", JOB, "espalier jobs"), JOB]
StartJob = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="JOB",
        help="Start from the mask of this job, of the same model (init_from); a beginning of its id that no other has, or last. "
        "Or the id of an uploaded mask: espalier masks push.",
        autocompletion=_completion(JOB),
    ),
    JOB,
]
DatasetId = Annotated[str, _argument("DATASET", DATASET, "espalier datasets list"), DATASET]
ModelId = Annotated[str, _argument("MODEL", MODEL, "espalier models"), MODEL]
MaskId = Annotated[str, _argument("MASK", MASK, "espalier masks list"), MASK]
SweepId = Annotated[str, _argument("SWEEP", SWEEP, "espalier sweep list"), SWEEP]
WebhookId = Annotated[str, _argument("WEBHOOK", WEBHOOK, "espalier webhooks list"), WEBHOOK]
