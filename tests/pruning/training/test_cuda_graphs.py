"""Replayed CUDA graphs against the same passes run eagerly, for every architecture."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch.nn import functional

from pruning.masking.kernels import dispatch
from pruning.sources import Sources
from pruning.training.cuda_graphs import Batch, CudaGraphCache
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures, toy_datasets
from tests.graph_recorder import GraphRecorder
from tests.pruning.runs import spec_of


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    """As on a GPU: what native kernels do is no operator of PyTorch's."""
    with dispatch.plain_only():
        yield


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    folder = tmp_path_factory.mktemp("toys")
    toy_datasets.write_splits(
        folder / "data" / "sst2", {"train": toy_datasets.opinions(24, 1), "validation": toy_datasets.opinions(8, 2)}
    )
    return Sources(folder / "models", folder / "data", hub=False)


def prepared(sources: Sources, shape: str, **fields: Any) -> Run:
    assert sources.models_dir is not None
    if not (sources.models_dir / shape).exists():
        toy_architectures.make_model(sources.models_dir / shape, shape)
    run = set_up(spec_of(model=shape, dropout=0.2, **fields), sources, lambda event: None)
    run.head.train()
    run.pruner.select(0.5)
    return run


def weights_of(run: Run) -> list[torch.Tensor]:
    return [layer.weight for layer in run.matrices.layers.values()]


def gradients(weights: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def again(loss_of: Callable[[Batch], torch.Tensor], weights: Sequence[torch.Tensor], batches: list[Batch], seed: int) -> Any:
    """Loss of each batch and the gradients of their mean, without recordings."""
    torch.manual_seed(seed)
    losses = []
    for weight in weights:
        weight.grad = None
    for batch in batches:
        loss = loss_of(batch)
        torch.autograd.backward(loss / len(batches))
        losses.append(float(loss.detach()))
    found = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    return losses, found


def repeated(replays: CudaGraphCache, weights: Sequence[torch.Tensor], batches: list[Batch], seed: int) -> Any:
    """The same by ``replays``."""
    torch.manual_seed(seed)
    replays.begin_step()
    losses = [replays.forward_backward(batch, len(batches)) for batch in batches]
    return [float(loss) for loss in losses], [gradient.clone() for gradient in gradients(weights)]


def assert_same(found: Any, expected: Any) -> None:
    assert found[0] == expected[0]
    assert all(map(torch.equal, found[1], expected[1]))


@pytest.mark.parametrize(("shape", "precision"), [*((shape, "fp32") for shape in toy_architectures.ALL), ("bert", "bf16")])
def test_a_replayed_pass_equals_the_eager_pass(
    sources: Sources, shape: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout and all, to the last bit: so no number of one batch has found its way into the recording."""
    monkeypatch.setattr("pruning.models.autocast.has_bf16", lambda device: True)  # slow where it is emulated, and still exact
    head = "classifier" if shape == toy_architectures.HEADLESS else "label-words"
    run = prepared(sources, shape, head=head, precision=precision)
    weights, remarks = weights_of(run), list[str]()
    record = GraphRecorder(lambda: gradients(weights), monkeypatch)
    replays = CudaGraphCache(run.pruner.loss_of, weights, record, remarks.append)
    every = list(range(16))
    steps = [[run.train.batch(every[i : i + 4], run.device, padded_like=every)] for i in range(0, 16, 4)]
    expected = [again(run.pruner.loss_of, weights, step, seed) for seed, step in enumerate(steps)]
    assert len({losses[0] for losses, _ in expected}) == len(steps)
    for seed, step in enumerate(steps):
        assert_same(repeated(replays, weights, step, seed), expected[seed])
    assert (remarks, record.recordings, len(replays)) == ([], 1, 1)
    run.pruner.select(0.1)  # what the masks are is read from where they are
    assert_same(repeated(replays, weights, steps[0], 7), anew_beside(run, weights, steps[0], 7))
    assert record.recordings == 1


def anew_beside(run: Run, weights: Sequence[torch.Tensor], batches: list[Batch], seed: int) -> Any:
    """:func:`again`, the gradients back where they were afterwards."""
    places = gradients(weights)
    found = again(run.pruner.loss_of, weights, batches, seed)
    for weight, place in zip(weights, places, strict=True):
        weight.grad = place
    return found


class Toy:
    """Two matrices, one of them out of reach of the loss."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights = [torch.nn.Parameter(torch.randn(3, 5)), torch.nn.Parameter(torch.randn(2, 2))]
        self.remarks: list[str] = []
        self.record = GraphRecorder(lambda: gradients(self.weights), monkeypatch)
        self.replays = CudaGraphCache(self.loss_of, self.weights, self.record, self.remarks.append)

    def loss_of(self, batch: Batch) -> torch.Tensor:
        return functional.linear(batch["x"], self.weights[0]).tanh().square().mean()

    def check(self, *rows: int) -> None:
        batches = [{"x": torch.randn(count, 5)} for count in rows]
        found = repeated(self.replays, self.weights, batches, 0)
        places = gradients(self.weights)
        assert_same(found, again(self.loss_of, self.weights, batches, 0))
        for weight, place in zip(self.weights, places, strict=True):
            weight.grad = place


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    return Toy(monkeypatch)


def test_each_shape_is_recorded_when_it_comes_again(toy: Toy) -> None:
    for rows, made in ((4, 0), (6, 0), (4, 1), (4, 1), (6, 2), (4, 2), (6, 2)):
        toy.check(rows)
        assert (toy.record.recordings, len(toy.replays)) == (made, made)


def test_micro_batches_add_up_and_each_loss_is_its_own(toy: Toy) -> None:
    for _ in range(3):
        toy.check(4, 4, 2)
    toy.check(4)  # the whole of a step is another work than a third of it
    assert toy.record.recordings == 2
    toy.check(4)
    assert toy.record.recordings == 3


def test_weights_that_moved_are_not_read_where_they_were(toy: Toy) -> None:
    for _ in range(2):
        toy.check(4)
    toy.weights[0].data = torch.randn(3, 5)
    toy.check(4)
    toy.check(4)
    assert toy.record.recordings == 2


def test_a_pass_that_cannot_be_captured_is_logged_once_and_run_eagerly(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = toy.loss_of

    def asking(batch: Batch) -> torch.Tensor:
        return whole(batch) * (2.0 if float(batch["x"].sum()) > 0 else 1.0)

    monkeypatch.setattr(toy, "loss_of", asking)
    toy.replays = CudaGraphCache(asking, toy.weights, toy.record, toy.remarks.append)
    for rows in (4, 4, 4, 2, 2):
        toy.check(rows)
    assert (toy.record.recordings, len(toy.remarks)) == (0, 1)
    assert "needs a number from the device" in toy.remarks[0]


def test_recordings_are_bounded(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pruning.training.cuda_graphs.MAX_GRAPHS", 2)
    for rows in (2, 3, 4) * 3:
        toy.check(rows)
    assert (toy.record.recordings, toy.remarks) == (2, [])
