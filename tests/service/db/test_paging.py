"""Pages end at a number of bytes: none is lost, none is repeated, and a row larger than a page is a page of its own."""

from collections.abc import Iterator, Sequence

import pytest

from service import datasets, uploads
from service.db import paging
from service.db.engine import Database
from service.db.models import Dataset
from service.db.paging import fill_page
from service.jobs import claims, queries, views
from service.jobs.fence import Fence
from tests.service import factories


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_BYTES", 1000)


@pytest.mark.parametrize(
    ("sizes", "limit", "page", "more"),
    [
        ([], 5, [], False),
        ([400, 600], 5, [400, 600], False),
        ([400, 601], 5, [400], True),
        ([5000], 5, [5000], False),
        ([5000, 1], 5, [5000], True),
        ([1, 2, 3], 3, [1, 2, 3], False),
        ([1, 2, 3, 4], 3, [1, 2, 3], True),
    ],
)
def test_a_page_ends_at_its_bytes_or_its_rows(sizes: list[int], limit: int, page: list[int], more: bool) -> None:
    assert fill_page(([size] for size in sizes), lambda size: size, limit) == (page, more)


def test_no_batch_is_read_beyond_the_page() -> None:
    read: list[int] = []

    def batches() -> Iterator[Sequence[int]]:
        for number in range(9):
            read.append(number)
            yield [number, 600]

    assert fill_page(batches(), lambda size: size, 100) == ([0, 600, 1], True)
    assert read == [0, 1]


def test_histories(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_BATCH", 3)
    job = factories.running(database)
    fence = Fence.from_row(job)
    with database.write() as session:
        for number in range(10):
            claims.record_event(session, fence, "log", {"message": f"{number}" * 300})
            claims.record_metrics(session, fence, step=number, values={"x" * 300: number})
    with database.read() as session:
        seen, more, sizes = [0], True, []
        while more:
            rows, more = queries.event_page(session, job.id, after=seen[-1], limit=100)
            seen += [row.seq for row in rows]
            sizes.append(len(rows))
        assert seen == list(range(13))
        assert max(sizes) < 7
        rows, more = queries.metric_page(session, job.id, limit=100)
        assert ([row.step for row in rows], more) == ([0, 1, 2], True)
        assert len(queries.metric_page(session, job.id, after=rows[-1].id, limit=2)[0]) == 2


def test_lists_of_jobs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "_BATCH", 2)
    jobs = [factories.queued(database, metadata={"note": "x" * 400}) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    with database.read() as session:
        while not seen or cursor is not None:
            ids, cursor = queries.page(session, limit=10, after=cursor)
            page, cursor = views.load_page(session.connection(), ids, cursor)
            assert 1 <= len(page) <= 2
            seen += [view.job.id for view in page]
    assert sorted(seen) == sorted(jobs)
    assert len(seen) == 5


def test_lists_of_data_sets(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_BATCH", 2)
    with database.write() as session:
        for number in range(5):
            splits = {"train": {"rows": 1, "bytes": 1, "note": "x" * 400}}
            row = Dataset(id=f"ds_{number:032x}", owner="ann", sha256="a" * 64, splits=splits, size=1, complete=True)
            session.add(row)
    with database.read() as session:
        first, after = datasets.page(session, limit=10, owner="ann")
        second, after = datasets.page(session, limit=2, owner="ann", after=after)
        third, end = datasets.page(session, limit=10, owner="ann", after=after)
    numbers = [int(row.id[3:], 16) for row in (*first, *second, *third)]
    assert (numbers, end) == ([4, 3, 2, 1, 0], None)
