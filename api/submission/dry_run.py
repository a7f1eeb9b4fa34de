"""Dry run of a submission: all of its checks, its steps, its time and its place in the queue, and nothing is created.

Called by ``POST /v1/jobs?dry_run=true`` and by the page with the form of a job.
"""

from dataclasses import asdict

from api.request import limits
from api.request.auth import Caller
from api.request.deps import Services
from api.schemas.dry_run import DryRun, PatternShare, QueuePlace, TimeEstimate
from api.schemas.job_request import JobRequest
from api.schemas.jobs import JobWarning
from api.submission import admission
from api.submission.forecast import LocalFacts, forecast
from pruning.masking.layer_sparsity import matched_rows
from pruning.spec.schema import PruningSpec
from service.access import quotas
from service.access.quotas import Quota
from service.jobs import heartbeats, queries
from service.operations.throughput import Planned, estimate

_CHECKS = ("spec", "model", "data set", "queue limit", "storage quota")


def preview(request: JobRequest, services: Services, caller: Caller) -> DryRun:
    """Steps, time and warnings to expect of ``request``. Raises the same exceptions as its submission."""
    settings = services.settings
    spec = request.spec.holding_out(admission.check_job(request, settings, services.database, caller.owner))
    facts = LocalFacts.from_folders(spec, settings)
    shares = _pattern_shares(spec, services, caller)
    with services.database.write() as session:  # as a submission, which locks the data set
        limits.check_queue_length(session, settings, caller.owner)
        quotas.check_submission(session, Quota.from_settings(settings), caller.owner)
        uploaded = admission.lock_uploads(session, spec, caller.owner)
        spec = spec.holding_out(uploaded.validation_share)
        expected = forecast(spec, facts, uploaded.train_rows)
    resolved = spec.model_dump(mode="json")
    seen = settings.worker_seen_seconds
    with services.database.read() as session:
        found = None
        if expected.rows_seen:
            baseline_rows = (expected.baseline_steps or 0) * expected.rows_per_step
            planned = Planned(caller.owner, resolved, expected.rows_seen, expected.masked_weights, baseline_rows)
            found = estimate(session, planned, worker_seen_seconds=seen)
        ahead, running = queries.count_ahead(session, priority=request.priority)
        live = heartbeats.live_workers(session, within_seconds=seen)
    optional = {
        "teacher": spec.teacher is not None,
        "start mask": spec.init_from is not None,
        "exports": bool(request.exports),
        "webhook": request.webhook is not None,
    }
    return DryRun(
        spec=resolved,
        steps=expected.steps,
        baseline_steps=expected.baseline_steps,
        rows_per_step=expected.rows_per_step,
        rows=expected.rows_seen,
        train_rows=expected.train_rows,
        masked_weights=expected.masked_weights,
        sparsity_by=shares,
        checks=[*_CHECKS, *(name for name, asked in optional.items() if asked)],
        estimate=TimeEstimate(**asdict(found)) if found is not None else None,
        queue=QueuePlace(ahead=ahead, running=running, workers=len(live), slots=sum(worker.slots for worker in live)),
        warnings=[JobWarning.model_validate(warning) for warning in expected.warnings],
    )


def _pattern_shares(spec: PruningSpec, services: Services, caller: Caller) -> list[PatternShare] | None:
    if not spec.sparsity_by:
        return []
    matrices = admission.local_matrices(spec, services.settings, services.database, caller.owner)
    if matrices is None:
        return None
    sizes = {path: rows * columns for path, (rows, columns) in matrices.items()}
    return [
        PatternShare(pattern=pattern, sparsity=sparsity, matrices=paths, weights=sum(sizes[path] for path in paths))
        for pattern, sparsity, paths in matched_rows(spec, matrices)
    ]
