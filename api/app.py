"""ASGI application of the HTTP interface: ``uvicorn --factory api.app:create_app``, or ``espalier serve``.

Path of a request: ``middleware`` → ``request`` (authentication, limits) → ``routes`` → ``service`` (rows) → ``schemas``,
``responses``; exceptions become problems in ``errors``. ``pages`` are for browsers, and call the functions of ``routes``. The
database must have been migrated: the API never changes the schema.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi.telemetry import TelemetryConfig

from api.errors.handlers import install_handlers
from api.middleware.access_log import AccessLogMiddleware, RouteMiddleware
from api.middleware.body_limit import BodyLimitMiddleware
from api.middleware.http_metrics import HttpMetricsMiddleware
from api.middleware.http_semantics import HttpSemanticsMiddleware
from api.middleware.loopback import LoopbackMiddleware
from api.middleware.request_id import RequestIdMiddleware
from api.openapi.document import build_document
from api.pages import assets, compare, home, hub_token, job, job_actions, keys, new_job, signin
from api.pages import datasets as dataset_pages
from api.pages import models as model_pages
from api.pages import sweeps as sweep_pages
from api.pages import webhooks as webhook_pages
from api.pages.error_pages import bug_page, install_error_pages
from api.predictions.service import PredictionService
from api.request.auth import load_keys
from api.request.deps import Services
from api.request.query_batcher import QueryBatcher
from api.request.token_buckets import SharedTokenBuckets, open_buckets
from api.responses import sweep_plot
from api.routes import (
    artifacts,
    catalog,
    datasets,
    docs,
    evaluations,
    events,
    exports,
    health,
    jobs,
    masks,
    metrics,
    models,
    predictions,
    secrets,
    sweep_results,
    sweeps,
    webhooks,
)
from api.schemas.job_representation import load_jobs
from pruning import __version__
from service.broker import celery_app
from service.concurrency import ConcurrencyLimiter
from service.db.engine import Database
from service.monitoring.registry import process_registry
from service.operations.statistics import StatisticsReader
from service.settings import Settings
from service.tracing import spans

_DESCRIPTION = """
Post a pretrained language model and a task; a worker trains which of its weights to keep; download the mask.

The minimal body is `{"model": "...", "task": "..."}`. Every error is an RFC 9457 problem (`application/problem+json`)
with a stable `code`. Lists have `data`, `has_more` and `next_cursor`, and take `limit` and `after`.

Beyond loopback requests need an API key, `Authorization: Bearer esp_…`, and resources of other owners are not found.
"""


_ROUTERS = (
    jobs.router,
    events.router,
    artifacts.router,
    exports.router,
    evaluations.router,
    sweeps.router,
    sweep_results.router,
    webhooks.router,
    datasets.router,
    masks.router,
    models.router,
    catalog.router,
    health.router,
    metrics.router,
    predictions.router,
    secrets.router,
    docs.router,
    assets.router,
    home.router,
    compare.router,
    sweep_pages.router,
    job.router,
    job_actions.router,
    new_job.router,
    dataset_pages.router,
    model_pages.router,
    webhook_pages.router,
    hub_token.router,
    keys.router,
    signin.router,
    signin.sessions,
    catalog.own,
)
"""In the order in which paths are tried, and in which the OpenAPI document has them."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; ``settings`` default to the environment's (``ESPALIER_*``)."""
    settings = settings or Settings()
    spans.start(settings.otlp_endpoint, "espalier-api", __version__)
    services = _services(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.predictions.close()
        services.job_loader.close()
        services.key_loader.close()
        if isinstance(services.token_buckets, SharedTokenBuckets):
            await services.token_buckets.close()
        services.database.dispose()
        await run_in_threadpool(spans.stop)

    app = FastAPI(
        title="Espalier",
        summary="Pruning as a service",
        description=_DESCRIPTION,
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # api.routes.docs serves them, without other hosts' scripts
        redoc_url=None,
        redirect_slashes=False,  # api.middleware.http_semantics serves such paths
        telemetry=_telemetry(),
    )
    app.state.services = services
    install_handlers(app)
    install_error_pages(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.openapi = partial(build_document, app)  # type: ignore[method-assign]  # FastAPI's documented way
    _add_middleware(app, services)
    return app


def _services(settings: Settings) -> Services:
    database = Database(settings.database_url)
    return Services(
        settings=settings,
        database=database,
        job_loader=QueryBatcher(
            "jobs", partial(load_jobs, database, paused_days=settings.paused_days, root_path=settings.root_path)
        ),
        key_loader=QueryBatcher("keys", partial(load_keys, database)),
        celery=celery_app(settings),
        token_buckets=open_buckets(settings),
        predictions=PredictionService(
            settings, database, slots=ConcurrencyLimiter(settings.predictions_waiting, _predictions_per_owner(settings))
        ),
        stream_slots=ConcurrencyLimiter(settings.max_streams, _streams_per_owner(settings)),
        figure_slots=ConcurrencyLimiter(*sweep_plot.MAX_FIGURES),
        wait_slots=ConcurrencyLimiter(settings.max_waits, _waits_per_owner(settings)),
        registry=process_registry("api", __version__, database),
        statistics=StatisticsReader(database, worker_seen_seconds=settings.worker_seen_seconds),
    )


def _telemetry() -> TelemetryConfig:
    """FastAPI's own spans: one for each request, by the template of its route. Nothing where this process does not trace."""
    tracing = spans.active()
    return {
        "tracer_provider": tracing.provider if tracing is not None else None,
        "tracing": tracing is not None,
        "metrics": False,  # /metrics has them
        "logs": False,  # they have messages and stacks in them
        "operation_spans": False,
        "auto_configure": False,
    }


def _add_middleware(app: FastAPI, services: Services) -> None:
    """Add the middleware; the one added last is the outermost."""
    settings = services.settings
    app.add_middleware(HttpMetricsMiddleware, registry=services.registry)
    uploads = (datasets.router.prefix, dataset_pages.router.prefix)
    larger = dict.fromkeys(uploads, settings.max_dataset_bytes + datasets.FORM_OVERHEAD_BYTES)
    of_models = (models.router.prefix, model_pages.router.prefix)
    larger |= dict.fromkeys(of_models, settings.max_model_bytes + models.FORM_OVERHEAD_BYTES)
    larger[masks.router.prefix] = settings.max_mask_bytes + masks.FORM_OVERHEAD_BYTES
    app.add_middleware(RouteMiddleware)
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, exceptions=larger)
    app.add_middleware(HttpSemanticsMiddleware, own_head=artifacts.HEAD_PATH, root_path=settings.root_path)
    if not settings.keys_required:
        app.add_middleware(LoopbackMiddleware)
    app.add_middleware(RequestIdMiddleware, show_bug=bug_page)
    app.add_middleware(AccessLogMiddleware)


def _streams_per_owner(settings: Settings) -> int:
    """Event streams of one owner; without API keys there is only one owner, who may have all of them."""
    return settings.max_streams_per_owner if settings.keys_required else settings.max_streams


def _waits_per_owner(settings: Settings) -> int:
    """Requests with ``Prefer: wait`` of one owner, in the same way."""
    return settings.max_waits_per_owner if settings.keys_required else settings.max_waits


def _predictions_per_owner(settings: Settings) -> int:
    """Prediction requests of one owner that wait: half of all, so that other owners find a slot."""
    waiting = settings.predictions_waiting
    return max(1, waiting // 2) if settings.keys_required else waiting
