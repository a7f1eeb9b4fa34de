"""A teacher's logits are computed once per row, in the task's class order, and a teacher that does not fit is refused."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    BertForQuestionAnswering,
    BertForSequenceClassification,
)

from pruning.data.encoding import PADDING_LOGIT
from pruning.data.reader import load_rows
from pruning.errors import PermanentError, StoppedError
from pruning.formats import mask_file
from pruning.sources import Sources
from pruning.spec.errors import error_details
from pruning.spec.tasks import resolve_task
from pruning.training import losses
from pruning.training.run import Run
from pruning.training.setup import set_up
from tests import toy_architectures, toy_models
from tests.pruning.runs import make_sources, run_toy, spec_of
from tests.toy_datasets import make_span_dataset

NAMES = ("negative", "positive")
SPAN: dict[str, Any] = {"task": "squad", "max_length": 40, "stride": 8, "batch_size": 8}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    root = tmp_path_factory.mktemp("toys")
    sources = make_sources(root)
    for folder, names in {
        "teacher": NAMES,
        "turned": NAMES[::-1],
        "written-otherwise": ("Positive", "NEGATIVE_"),
        "nameless": ("LABEL_0", "LABEL_1"),
        "three": ("negative", "neutral", "positive"),
        "foreign": ("ham", "spam"),
    }.items():
        toy_architectures.make_classifier(root / "models" / folder, names)
    toy_architectures.make_span_model(root / "models" / "span-teacher")
    toy_architectures.make_span_model(root / "models" / "span-foreign", other_words=True)
    toy_architectures.make_span_model(root / "models" / "span-short", positions=24)
    make_span_dataset(root / "datasets" / "squad")
    return sources


def ready(sources: Sources, **fields: Any) -> Run:
    return set_up(spec_of(**fields), sources, lambda event: None)


def refusal(sources: Sources, **fields: Any) -> PermanentError:
    with pytest.raises(PermanentError) as caught:
        ready(sources, **fields)
    return caught.value


@contextmanager
def counted_rows(kind: type[nn.Module]) -> Iterator[list[int]]:
    """Rows of every forward pass of a class of models, observed."""
    rows: list[int] = []

    def note(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(module, kind):
            rows.append(len(output[0]))

    handle = register_module_forward_hook(note)
    try:
        yield rows
    finally:
        handle.remove()


def by_hand(sources: Sources, folder: str, texts: list[str]) -> np.ndarray:
    """Logits of stock transformers, row by row, in the teacher's own order."""
    assert sources.models_dir is not None
    model = AutoModelForSequenceClassification.from_pretrained(sources.models_dir / folder, dtype=torch.float32).eval()
    tokenizer = toy_models.word_pieces()
    found = []
    with torch.no_grad():
        for text in texts:
            encoded = tokenizer.encode(text)
            found.append(model(torch.tensor([encoded.ids])).logits[0].numpy())
    return np.stack(found)


@pytest.mark.parametrize(("folder", "columns"), [("teacher", [0, 1]), ("turned", [1, 0]), ("written-otherwise", [1, 0])])
def test_logits_come_in_the_tasks_class_order_by_name(sources: Sources, folder: str, columns: list[int]) -> None:
    run = ready(sources, teacher=folder, epochs=1, max_steps=None)
    texts = load_rows(resolve_task("sst2"), "train", sources).texts[0]
    assert run.train.teacher_logits is not None
    assert len(run.train.teacher_logits) == len(texts) == 256
    np.testing.assert_allclose(
        np.stack(run.train.teacher_logits)[:60], by_hand(sources, folder, texts[:60])[:, columns], rtol=1e-4, atol=1e-5
    )


def test_a_batch_has_the_logits_of_its_rows(sources: Sources) -> None:
    run = ready(sources, teacher="turned")
    rows = run.stream.rows(0)
    assert run.train.teacher_logits is not None
    expected = np.stack([run.train.teacher_logits[row] for row in rows])
    assert torch.equal(run.batch(0, 0)["teacher"], torch.from_numpy(expected))


LOADING = 2
"""Rows with which a model is tried once when it is loaded."""


def test_each_row_passes_the_teacher_once_however_many_epochs_follow(sources: Sources, tmp_path: Path) -> None:
    with counted_rows(BertForSequenceClassification) as rows:
        run_toy(sources, tmp_path, teacher="teacher", train_rows=24, max_steps=12, eval_every=4)
    assert sum(rows) == LOADING + 24  # 4 epochs


def test_only_rows_that_the_run_uses_pass_the_teacher(sources: Sources, tmp_path: Path) -> None:
    with counted_rows(BertForSequenceClassification) as rows:
        run_toy(sources, tmp_path, teacher="teacher", max_steps=3, batch_size=8, gradient_accumulation=2, prior="wanda")
    assert sum(rows) == LOADING + 48
    short = ready(sources, teacher="teacher", max_steps=3, batch_size=8, gradient_accumulation=2)
    whole = ready(sources, teacher="teacher", max_steps=None, epochs=1, batch_size=8, gradient_accumulation=2)
    for step in range(3):
        for part in range(2):
            torch.testing.assert_close(short.batch(step, part)["teacher"], whole.batch(step, part)["teacher"], rtol=1e-5, atol=1e-6)


def test_each_window_passes_a_span_teacher_once(sources: Sources, tmp_path: Path) -> None:
    with counted_rows(BertForQuestionAnswering) as rows:
        run_toy(sources, tmp_path, teacher="span-teacher", train_rows=16, max_steps=10, **SPAN)
    windows = len(ready(sources, train_rows=16, **SPAN).train)
    assert windows > 16
    assert sum(rows) == LOADING + windows


def test_the_loss_is_half_the_teachers_and_half_the_tasks(sources: Sources) -> None:
    run = ready(sources, teacher="turned", dropout=0.0)
    batch = run.batch(0, 0)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    logits = run.head(**inputs)
    student, teacher = torch.log_softmax(logits / 2, 1), torch.softmax(batch["teacher"] / 2, 1)
    divergence = 4 * (teacher * (teacher.log() - student)).sum(1).mean()
    expected = 0.5 * divergence + 0.5 * nn.functional.cross_entropy(logits, batch["labels"])
    assert run.pruner.loss_of(batch).item() == pytest.approx(expected.item(), rel=1e-5)
    other = ready(sources, teacher="turned", dropout=0.0, distill_share=0.9, distill_temperature=4.0)
    student, teacher = torch.log_softmax(logits / 4, 1), torch.softmax(batch["teacher"] / 4, 1)
    divergence = 16 * (teacher * (teacher.log() - student)).sum(1).mean()
    expected = 0.9 * divergence + 0.1 * nn.functional.cross_entropy(logits, batch["labels"])
    assert other.pruner.loss_of(batch).item() == pytest.approx(expected.item(), rel=1e-5)


def test_span_logits_are_those_of_the_window_and_nothing_on_padding(sources: Sources) -> None:
    run = ready(sources, teacher="span-teacher", train_rows=8, dropout=0.0, **SPAN)
    assert sources.models_dir is not None
    stock = AutoModelForQuestionAnswering.from_pretrained(sources.models_dir / "span-teacher", dtype=torch.float32)
    stock.eval()
    batch = run.train.batch(range(len(run.train)), torch.device("cpu"))
    types = run.train.token_type_ids
    assert types is not None
    for window, ids in enumerate(run.train.input_ids):
        with torch.no_grad():
            output = stock(torch.tensor([ids]), token_type_ids=torch.tensor([types[window]]))
        expected = torch.stack([output.start_logits[0], output.end_logits[0]], dim=-1)
        found = batch["teacher"][window]
        torch.testing.assert_close(found[: len(ids)], expected, rtol=1e-4, atol=1e-5)
        assert (found[len(ids) :] == PADDING_LOGIT).all()
    logits = run.head(**{k: v for k, v in batch.items() if k not in ("labels", "teacher")})
    task = losses.span(logits, batch["labels"][:, 0], batch["labels"][:, 1])
    expected = 0.5 * losses.distilled(logits, batch["teacher"]) + 0.5 * task
    assert run.pruner.loss_of(batch).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("folder", ["nameless", "three", "foreign"])
def test_a_teacher_with_other_classes_is_refused(sources: Sources, folder: str) -> None:
    found = refusal(sources, teacher=folder)
    assert (found.code, found.param) == ("labels_mismatch", "teacher")
    assert "teacher" in found.message


@pytest.mark.parametrize(("labels", "columns"), [(["negative", "positive"], [0, 1]), (["Positive", "Negative"], [1, 0])])
def test_names_for_a_nameless_teacher_can_be_given(sources: Sources, labels: list[str], columns: list[int]) -> None:
    run = ready(sources, teacher="nameless", teacher_labels=labels, epochs=1, max_steps=None)
    texts = load_rows(resolve_task("sst2"), "train", sources).texts[0][:20]
    assert run.train.teacher_logits is not None
    expected = by_hand(sources, "nameless", texts)[:, columns]
    np.testing.assert_allclose(np.stack(run.train.teacher_logits)[:20], expected, rtol=1e-4, atol=1e-5)


def test_given_names_must_be_as_many_as_the_teachers_classes(sources: Sources) -> None:
    found = refusal(sources, teacher="three", teacher_labels=["negative", "positive"])
    assert (found.code, found.param) == ("labels_mismatch", "teacher_labels")


def test_a_model_that_was_never_fine_tuned_is_no_teacher(sources: Sources) -> None:
    found = refusal(sources, teacher="bert")
    assert (found.code, found.param) == ("model_head_missing", "teacher")
    found = refusal(sources, teacher="bert", **SPAN)
    assert (found.code, found.param) == ("model_head_missing", "teacher")


def test_faults_of_a_teachers_folder_name_the_field_teacher(sources: Sources, tmp_path: Path) -> None:
    assert sources.models_dir is not None
    assert refusal(sources, teacher="nowhere").param == "teacher"
    shutil.copytree(sources.models_dir / "teacher", sources.models_dir / "torn", dirs_exist_ok=True)
    (sources.models_dir / "torn" / "model.safetensors").write_bytes(b"torn")
    found = refusal(sources, teacher="torn")
    assert (found.code, found.param) == ("model_weights_corrupt", "teacher")


@pytest.mark.parametrize(("folder", "code"), [("span-foreign", "teacher_tokenizer"), ("span-short", "teacher_too_short")])
def test_a_span_teacher_that_sees_other_positions_is_refused(sources: Sources, folder: str, code: str) -> None:
    found = refusal(sources, teacher=folder, **SPAN)
    assert (found.code, found.param) == (code, "teacher")


def test_a_regression_has_nothing_to_learn_from_a_teacher(sources: Sources) -> None:
    with pytest.raises(ValidationError) as caught:
        spec_of(task="stsb", teacher="teacher")
    assert [fault["param"] for fault in error_details(caught.value)] == ["teacher"]


@pytest.mark.parametrize(("teacher", "fields"), [("turned", {}), ("span-teacher", SPAN)])
def test_a_teacher_changes_the_mask_and_is_remembered_in_it(
    sources: Sources, tmp_path: Path, teacher: str, fields: dict[str, Any]
) -> None:
    masks = []
    for name, given in (("with", fields | {"teacher": teacher}), ("without", fields)):
        events = run_toy(sources, tmp_path / name, **given)
        assert events[-1].event == "finished"
        masks.append(mask_file.read(tmp_path / name / "artifacts" / "mask.safetensors"))
    assert not all(np.array_equal(masks[0][0][path], masks[1][0][path]) for path in masks[0][0])
    assert masks[0][1].spec.teacher == teacher
    assert masks[0][1].weights_sha256 is None


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10_000))
    return lambda: next(asked) >= steps


@pytest.mark.parametrize(("teacher", "fields"), [("turned", {}), ("span-teacher", SPAN)])
def test_a_run_with_a_teacher_resumes_to_the_last_bit(
    sources: Sources, tmp_path: Path, teacher: str, fields: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"teacher": teacher, "dropout": 0.1, "max_steps": 8, **fields}
    run_toy(sources, tmp_path / "whole", **given)
    with pytest.raises(StoppedError):
        run_toy(sources, tmp_path / "parts", should_stop=stop_after(3), **given)
    events = run_toy(sources, tmp_path / "parts", **given)
    assert next(event for event in events if event.event == "started").resumed_from == 3
    for name in ("mask.safetensors", "predictions.jsonl"):
        whole, parts = (tmp_path / run / "artifacts" / name for run in ("whole", "parts"))
        if name == "mask.safetensors":
            ours, theirs = mask_file.read(whole)[0], mask_file.read(parts)[0]
            assert all(np.array_equal(ours[path], theirs[path]) for path in ours)
        else:
            assert whole.read_bytes() == parts.read_bytes()
