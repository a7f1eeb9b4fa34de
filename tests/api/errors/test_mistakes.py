"""Plausible mistakes in the bodies of jobs, sweeps, webhooks and exports: each refused with its code, its place and the remedy.

The remedy is the part of the detail that tells what to write; no sentence of pydantic's is among the details.
"""

import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import BODY

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # nothing gets as far as a database

CUSTOM = {"dataset": "org/tickets", "text": ["body"], "label": "queue", "labels": ["billing", "bug"]}
PYDANTIC = re.compile(
    r"Input should|Field required|Extra inputs|String should|valid (integer|number|string|list|tuple|dictionary|boolean)"
    r"|List should|Tuple should|Value error|unable to parse"
)


def job(**change: Any) -> dict[str, Any]:
    return BODY | change


def task(**change: Any) -> dict[str, Any]:
    return job(task=CUSTOM | change)


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in BODY.items() if key != name}


JOBS: list[tuple[Any, str, str, str]] = [
    # the body itself
    ({}, "missing", "/model", "model "),
    ([], "model_attributes_type", "", 'send a JSON object, such as {"model"'),
    ([BODY], "model_attributes_type", "", "JSON"),
    ("sst2", "model_attributes_type", "", "JSON"),
    (None, "missing", "", "empty"),
    (without("model"), "missing", "/model", "model "),
    (without("task"), "missing", "/task", "task "),
    # another library's names
    (job(lr=0.02), "extra_forbidden", "/lr", " learning_rate?"),
    (job(learningRate=0.02), "extra_forbidden", "/learningRate", " learning_rate?"),
    (job(**{"learning-rate": 0.02}), "extra_forbidden", "/learning-rate", " learning_rate?"),
    (job(LEARNING_RATE=0.02), "extra_forbidden", "/LEARNING_RATE", " learning_rate?"),
    (job(learning_rat=0.02), "extra_forbidden", "/learning_rat", " learning_rate?"),
    (job(max_step=100), "extra_forbidden", "/max_step", " max_steps?"),
    (job(maxSteps=100), "extra_forbidden", "/maxSteps", " max_steps?"),
    (job(steps=100), "extra_forbidden", "/steps", " max_steps?"),
    (job(num_train_steps=100), "extra_forbidden", "/num_train_steps", " max_steps?"),
    (job(epoch=3), "extra_forbidden", "/epoch", " epochs?"),
    (job(num_train_epochs=3), "extra_forbidden", "/num_train_epochs", " epochs?"),
    (without("model") | {"model_name": "bert"}, "extra_forbidden", "/model_name", " model?"),
    (without("model") | {"modelName": "bert"}, "extra_forbidden", "/modelName", " model?"),
    (without("model") | {"model_name_or_path": "b"}, "extra_forbidden", "/model_name_or_path", " model?"),
    (without("task") | {"task_name": "sst2"}, "extra_forbidden", "/task_name", " task?"),
    (job(per_device_train_batch_size=8), "extra_forbidden", "/per_device_train_batch_size", " batch_size?"),
    (job(batchsize=8), "extra_forbidden", "/batchsize", " batch_size?"),
    (job(gradient_accumulation_steps=2), "extra_forbidden", "/gradient_accumulation_steps", "gradient_accumulation?"),
    (job(max_seq_length=64), "extra_forbidden", "/max_seq_length", " max_length?"),
    (job(maxlength=64), "extra_forbidden", "/maxlength", " max_length?"),
    (job(random_seed=1), "extra_forbidden", "/random_seed", " seed?"),
    (job(seeds=1), "extra_forbidden", "/seeds", " seed?"),
    (job(fp16=True), "extra_forbidden", "/fp16", " precision?"),
    (job(gpus=2), "extra_forbidden", "/gpus", " devices?"),
    (job(device=1), "extra_forbidden", "/device", " devices?"),
    (job(pruning_method="smp-s"), "extra_forbidden", "/pruning_method", " method?"),
    (job(eval_steps=10), "extra_forbidden", "/eval_steps", " eval_every?"),
    (job(save_steps=10), "extra_forbidden", "/save_steps", " checkpoint_every?"),
    (job(density=0.1), "extra_forbidden", "/density", ": 0.9"),
    (job(remaining=0.03), "extra_forbidden", "/remaining", ": 0.97"),
    (job(keep_ratio="10%"), "extra_forbidden", "/keep_ratio", " sparsity,"),
    (job(sparcity=0.9), "extra_forbidden", "/sparcity", " sparsity?"),
    (job(export=["onnx"]), "extra_forbidden", "/export", " exports?"),
    (job(tags={"a": "b"}), "extra_forbidden", "/tags", " metadata?"),
    (job(timeout=60), "extra_forbidden", "/timeout", " max_duration?"),
    (job(callback_url="https://x.example"), "extra_forbidden", "/callback_url", " webhook?"),
    (job(colour="red"), "extra_forbidden", "/colour", "colour;"),
    # fields in the wrong object
    (job(text=["sentence"]), "extra_forbidden", "/text", " task"),
    (job(labels=["a", "b"]), "extra_forbidden", "/labels", " task"),
    (job(dataset="org/x"), "extra_forbidden", "/dataset", " task"),
    (job(validation_split="dev"), "extra_forbidden", "/validation_split", " task"),
    (task(sparsity=0.9), "extra_forbidden", "/task/sparsity", "top level"),
    (task(max_steps=9), "extra_forbidden", "/task/max_steps", "top level"),
    (task(seed=9), "extra_forbidden", "/task/seed", "top level"),
    # shares
    (job(sparsity=90), "less_than", "/sparsity", " 0.9?"),
    (job(sparsity=97), "less_than", "/sparsity", " 0.97?"),
    (job(sparsity=1), "less_than", "/sparsity", "below 1, not 1"),
    (job(sparsity=-0.1), "greater_than_equal", "/sparsity", "at least 0, not -0.1"),
    (job(sparsity=150), "less_than", "/sparsity", "below 1, not 150"),
    (job(sparsity="0.9"), "float_type", "/sparsity", " 0.9"),
    (job(sparsity="90%"), "float_type", "/sparsity", " 0.9"),
    (job(sparsity="high"), "float_type", "/sparsity", 'sparsity takes a number, "high" is a text'),
    (job(sparsity=None), "float_type", "/sparsity", "sparsity takes a number, null is null"),
    (job(sparsity=[0.9, 0.97]), "float_type", "/sparsity", "is a list"),
    (job(sparsity=True), "float_type", "/sparsity", "true is a truth value"),
    (job(dropout=10), "less_than", "/dropout", " 0.1?"),
    (job(ramp=60), "less_than_equal", "/ramp", " 0.6?"),
    (job(ramp=0), "greater_than", "/ramp", "above 0, not 0"),
    (job(ramp=0.8, hold=0.5), "spec_conflict", "/hold", "at most 1"),
    (job(distill_share=50), "less_than_equal", "/distill_share", " 0.5?"),
    # numbers
    (job(max_steps="100"), "int_type", "/max_steps", " 100"),
    (job(max_steps="1e3"), "int_type", "/max_steps", " 1000"),
    (job(max_steps=99.5), "int_from_float", "/max_steps", "99.5"),
    (job(max_steps=0), "greater_than_equal", "/max_steps", "at least 1, not 0"),
    (job(max_steps=-5), "greater_than_equal", "/max_steps", "at least 1, not -5"),
    (job(max_steps=10**9), "less_than_equal", "/max_steps", "at most 1e+08"),
    (job(epochs=0), "greater_than", "/epochs", "above 0"),
    (job(epochs="3"), "float_type", "/epochs", " 3"),
    (job(epochs=3, max_steps=9), "spec_conflict", "/epochs", " max_steps,"),
    (job(batch_size=0), "greater_than_equal", "/batch_size", "at least 1"),
    (job(batch_size=10_000), "less_than_equal", "/batch_size", "at most 4096"),
    (job(batch_size="32"), "int_type", "/batch_size", " 32"),
    (job(max_length=4), "greater_than_equal", "/max_length", "at least 8"),
    (job(learning_rate="2e-2"), "float_type", "/learning_rate", " 0.02"),
    (job(learning_rate=-1), "greater_than_equal", "/learning_rate", "at least 0"),
    (job(seed=-1), "greater_than_equal", "/seed", "at least 0"),
    (job(seed=2**33), "less_than", "/seed", "seed must be below"),
    (job(seed="42"), "int_type", "/seed", " 42"),
    (job(devices=0), "greater_than_equal", "/devices", "at least 1"),
    (job(devices="all"), "int_type", "/devices", '"all" is a text'),
    (job(priority=1000), "less_than_equal", "/priority", "at most 100"),
    (job(max_duration=-1), "greater_than", "/max_duration", "above 0"),
    (job(max_duration="2h"), "float_type", "/max_duration", '"2h" is a text'),
    # choices
    (job(method="smps"), "literal_error", "/method", " smp-s?"),
    (job(method="SMP-S"), "literal_error", "/method", " smp-s?"),
    (job(method="smp_l"), "literal_error", "/method", " smp-l?"),
    (job(method="magnitud"), "literal_error", "/method", " magnitude?"),
    (job(method="lora"), "literal_error", "/method", "one of smp-s"),
    (job(method=None), "literal_error", "/method", "method cannot be null"),
    (job(method=["smp-s"]), "literal_error", "/method", "one of smp-s"),
    (job(preset="Paper"), "literal_error", "/preset", " paper?"),
    (job(preset="default"), "literal_error", "/preset", "one of espalier, paper, upstream"),
    (job(pattern="2-4"), "literal_error", "/pattern", " 2:4?"),
    (job(pattern="2:4", sparsity=0.9), "spec_conflict", "/sparsity", "set sparsity to 0.5"),
    (job(head="label_words"), "literal_error", "/head", " label-words?"),
    (job(head="span"), "spec_conflict", "/head", " label-words or classifier"),
    (job(precision="fp16"), "literal_error", "/precision", "one of fp32, bf16"),
    (job(precision="float32"), "literal_error", "/precision", "one of fp32, bf16"),
    (job(prior="Wanda"), "literal_error", "/prior", " wanda?"),
    (job(prior="magnitude"), "literal_error", "/prior", "one of wanda"),
    (job(exports=["onx"]), "literal_error", "/exports/0", " onnx?"),
    (job(exports=["compact", "compact"]), "spec_conflict", "/exports", "once"),
    (job(version=2), "literal_error", "/version", "one of 1"),
    # lists, truth values, texts
    (job(exports="onnx"), "tuple_type", "/exports", 'write ["onnx"]'),
    (job(label_words="great"), "tuple_type", "/label_words", 'write ["great"]'),
    (job(label_words=["bad"]), "spec_conflict", "/label_words", "per class"),
    (job(label_words=["good", "good"]), "spec_conflict", "/label_words", "must differ"),
    (job(train_biases="yes"), "bool_type", "/train_biases", "true or false"),
    (job(train_biases="true"), "bool_type", "/train_biases", "true or false"),
    (job(train_biases=1), "bool_type", "/train_biases", "true or false"),
    (job(one_shot=True), "spec_conflict", "/one_shot", " magnitude"),
    (job(metadata="team-a"), "dict_type", "/metadata", "must be a JSON object in braces"),
    (job(metadata={"run": 7}), "string_type", "/metadata/run", 'write "7"'),
    (job(metadata={"run": None}), "string_type", "/metadata/run", "takes one text"),
    (job(webhook="https://x.example"), "model_attributes_type", "/webhook", "must be a JSON object in braces"),
    (job(webhook={}), "missing", "/webhook/url", "url "),
    (job(webhook={"uri": "https://x.example"}), "extra_forbidden", "/webhook/uri", " url?"),
    (job(model=7), "string_type", "/model", 'write "7"'),
    (job(model=""), "model_name", "/model", "neither a hub name"),
    (job(model="../../etc"), "model_name", "/model", "neither a hub name"),
    (job(model="https://huggingface.co/bert"), "model_name", "/model", "neither a hub name"),
    (job(model="m" * 201), "string_too_long", "/model", "at most 200 characters, it has 201"),
    (job(revision="a b"), "string_pattern_mismatch", "/revision", '"a b" has characters'),
    # tasks
    (job(task="sst-2"), "unknown_task", "/task", " sst2?"),
    (job(task="SST2"), "unknown_task", "/task", " sst2?"),
    (job(task="mprc"), "unknown_task", "/task", " mrpc?"),
    (job(task="sqad"), "unknown_task", "/task", " squad?"),
    (job(task="banking"), "unknown_task", "/task", "one of cola, mnli"),
    (job(task="ds_01jabc"), "unknown_task", "/task", 'give task as an object: {"dataset": "ds_01jabc"'),
    (job(task="org/tickets"), "unknown_task", "/task", 'give task as an object: {"dataset": "org/tickets"'),
    (job(task=["sst2"]), "model_attributes_type", "/task", "must be a JSON object in braces"),
    (job(task=None), "model_attributes_type", "/task", "must be a JSON object in braces"),
    (job(task={}), "missing", "/task/dataset", "dataset is missing"),
    (job(task={"name": "sst2"}), "extra_forbidden", "/task/name", " dataset?"),
    (task(text="body"), "tuple_type", "/task/text", 'write ["body"]'),
    (task(text=[]), "too_short", "/task/text", "text must not be empty"),
    (task(text=["a", "b", "c"]), "too_long", "/task/text", "at most 2 entries"),
    (task(labels="billing"), "tuple_type", "/task/labels", 'write ["billing"]'),
    (task(labels=["a", "a"]), "spec_conflict", "/task/labels", "twice"),
    (task(labels=[0, 1]), "string_type", "/task/labels/0", 'write "0"'),
    (task(text_column="body"), "extra_forbidden", "/task/text_column", " text?"),
    (task(label_column="queue"), "extra_forbidden", "/task/label_column", " label?"),
    (task(class_names=["a"]), "extra_forbidden", "/task/class_names", " labels?"),
    (task(trainSplit="train"), "extra_forbidden", "/task/trainSplit", " train_split?"),
    (task(kind="multiclass"), "literal_error", "/task/kind", "one of classification, regression"),
    (task(kind="classifcation"), "literal_error", "/task/kind", " classification?"),
    (task(metric="acc"), "literal_error", "/task/metric", "one of accuracy"),
    (task(metric="pearson"), "spec_conflict", "/task/metric", "use accuracy, f1 or matthews"),
    (task(dataset="my data.csv"), "string_pattern_mismatch", "/task/dataset", '"my data.csv" has characters'),
]

OTHERS: list[tuple[str, Any, str, str, str]] = [
    ("/v1/sweeps", {}, "missing", "/base", "base is missing"),
    ("/v1/sweeps", {"base": BODY, "method": ["smp-s"]}, "extra_forbidden", "/method", " methods?"),
    ("/v1/sweeps", {"base": BODY, "methods": "smp-s"}, "list_type", "/methods", 'write ["smp-s"]'),
    ("/v1/sweeps", {"base": BODY, "methods": ["smps"]}, "literal_error", "/methods/0", " smp-s?"),
    ("/v1/sweeps", {"base": BODY, "sparsities": [90]}, "less_than", "/sparsities/0", " 0.9?"),
    ("/v1/sweeps", {"base": BODY | {"lr": 1}, "sparsities": [0.9]}, "extra_forbidden", "/base/lr", " learning_rate?"),
    ("/v1/webhooks", {}, "missing", "/url", "url "),
    ("/v1/webhooks", {"url": "https://x.example", "event": []}, "extra_forbidden", "/event", " events?"),
]


def details_of(client: TestClient, path: str, body: Any) -> list[dict[str, str]]:
    answer = client.post(path, json=body) if body is not None else client.post(path)
    assert answer.status_code == 422, answer.text
    faults: list[dict[str, str]] = answer.json()["errors"]
    assert not [fault["detail"] for fault in faults if PYDANTIC.search(fault["detail"])]
    assert answer.json()["detail"].startswith(f"{faults[0]['pointer']}: " if faults[0]["pointer"] else "the body")
    return faults


@pytest.mark.parametrize(("body", "code", "pointer", "remedy"), JOBS)
def test_a_job_with_a_mistake(client: TestClient, body: Any, code: str, pointer: str, remedy: str) -> None:
    faults = details_of(client, "/v1/jobs", body)
    found = {(fault["code"], fault["pointer"]): fault["detail"] for fault in faults}
    assert (code, pointer) in found, found
    assert remedy in found[code, pointer]


@pytest.mark.parametrize(("path", "body", "code", "pointer", "remedy"), OTHERS)
def test_another_body_with_a_mistake(client: TestClient, path: str, body: Any, code: str, pointer: str, remedy: str) -> None:
    found = {(fault["code"], fault["pointer"]): fault["detail"] for fault in details_of(client, path, body)}
    assert (code, pointer) in found, found
    assert remedy in found[code, pointer]
