"""Training loop: select, forward, backward, update, evaluate, checkpoint, stop.

Called by :mod:`pruning.training.train`. How a step's phases are computed is the backend's (:mod:`pruning.training.step`): one that
works asynchronously returns from them at once, so a result is read, by ``progress``, up to one step late.
"""

from collections.abc import Callable

from pruning.errors import StoppedError
from pruning.events import EventSink
from pruning.training.checkpoint import Checkpoints
from pruning.training.history import History
from pruning.training.progress import Progress, divergence_reported
from pruning.training.resume import save_checkpoint
from pruning.training.run import Run


def run_loop(
    run: Run, first_step: int, history: History, checkpoints: Checkpoints, emit: EventSink, should_stop: Callable[[], bool]
) -> None:
    """Train from ``first_step`` to the last step.

    Raises PermanentError where the run diverges or its ranks differ; StoppedError, with a checkpoint written, once
    ``should_stop`` says so on any rank.
    """
    pruner, schedule, process_group = run.pruner, run.pruner.schedule, run.process_group
    progress = Progress(run, first_step, history, emit)
    run.head.train()
    for t in range(first_step, run.total_steps):
        batches = run.micro_batches(t)
        process_group.begin_step(run.spec.seed, t)
        with divergence_reported(t):
            pruner.select_masks(schedule.remaining(t))  # M and W ⊙ M, once a step
            losses = [pruner.forward_backward(batch, len(batches)) for batch in batches]
            pending = pruner.update(t, losses)  # the scores S, and what else the spec trains
        progress.record(t, pending)
        done = t + 1
        if run.evaluates_after(done):
            progress.settle()
            pruner.select(schedule.remaining(t), final=True)  # by the current scores
            evaluations = run.evaluate("during", done, emit, signal=history.latest_signal)
            run.offer_best(done, schedule.remaining(t), evaluations)
        if run.saves_after(done):
            progress.settle()
            save_checkpoint(run, done, history, checkpoints)
        if process_group.any_rank(should_stop()):
            progress.settle()
            save_checkpoint(run, done, history, checkpoints)
            checkpoints.wait()
            raise StoppedError(step=done)
    progress.settle()
