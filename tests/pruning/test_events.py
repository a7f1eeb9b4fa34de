"""Events of the trainer: every kind survives the pipe, and other lines are not events."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from pruning import events
from pruning.events import ExitCode, parse_line

EVENTS: list[Any] = [
    events.PhaseEvent(phase="training", message="9 steps"),
    events.StartedEvent(
        total_steps=9,
        model_revision=None,
        base_digest="0" * 64,
        matrices=12,
        masked_weights=99,
        train_rows=5,
        validation_rows=4,
        device="cpu",
        versions={"torch": "2"},
    ),
    events.StepEvent(
        step=1,
        total_steps=9,
        epoch=0.5,
        loss=0.7,
        regularizer=0.5,
        remaining=1.0,
        learning_rate=0.02,
        grad_norm=1.5,
        rows_per_second=10.0,
        eta_seconds=0.0,
    ),
    events.EvaluationEvent(step=3, stage="during", remaining=0.4, metrics={"accuracy": 0.1 + 0.2}),
    events.BaselineEvent(
        step=2, total_steps=9, loss=0.4, learning_rate=5e-5, rows_per_second=7.5, eta_seconds=2.0, metrics={"accuracy": 0.9}
    ),
    events.CheckpointEvent(step=4),
    events.ArtifactEvent(name="mask.safetensors", media_type="application/octet-stream", bytes=3, sha256="a" * 64),
    events.WarningEvent(code="scores_are_noise", message="m", remedy="r"),
    events.LogEvent(level="warning", message="läuft\nweiter"),
    events.ErrorEvent(kind="permanent", code="diverged", message="no", param="learning_rate"),
    events.FinishedEvent(metrics={"final": {"accuracy": 1.0}, "steps": 9}),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.event))
def test_an_event_survives_the_pipe_on_one_line(event: Any) -> None:
    line = event.model_dump_json()
    assert "\n" not in line
    assert parse_line(line) == event
    assert parse_line(line.encode() + b"\n") == event


def test_every_class_of_event_is_tried_here() -> None:
    classes = {value for value in vars(events).values() if isinstance(value, type) and hasattr(value, "model_fields")}
    assert {type(event) for event in EVENTS} == {one for one in classes if "event" in one.model_fields}


def test_an_event_carries_its_time() -> None:
    assert abs((datetime.now(UTC) - events.LogEvent(message="x").time).total_seconds()) < 60


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "Loading weights: 100%",
        "{",
        "[]",
        "null",
        "3",
        "{}",
        '{"event": "poem"}',
        '{"event": "step"}',
        '{"event": "checkpoint", "step": 1, "more": 2}',
        '{"event": "checkpoint", "step": "soon"}',
        '{"event": "checkpoint", "step": 1} {"event": "checkpoint", "step": 2}',
        "\x00",
        b"\xff\xfe",
        '{"event": "evaluation", "step": 1, "stage": "final", "remaining": 1, "metrics": {"accuracy": NaN}}',
        '{"event": "phase", "phase": "lunch"}',
        '{"event": "error", "kind": "odd", "code": "x", "message": "y"}',
    ],
    ids=repr,
)
def test_anything_else_is_no_event(line: str | bytes) -> None:
    with pytest.raises(ValidationError):
        parse_line(line)


@pytest.mark.parametrize("name", ["../mask", "a/b", "", ".hidden", "x" * 101, "a b"])
def test_an_artifact_cannot_name_a_file_outside_its_folder(name: str) -> None:
    line = json.dumps({"event": "artifact", "name": name, "media_type": "x", "bytes": 1, "sha256": "a" * 64})
    with pytest.raises(ValidationError):
        parse_line(line)


def test_numbers_that_json_cannot_say_are_refused_when_the_event_is_made() -> None:
    with pytest.raises(ValidationError):
        events.EvaluationEvent(step=1, stage="final", remaining=1, metrics={"accuracy": float("nan")})


def test_exit_codes_are_those_of_the_contract() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "OK": 0,
        "BUG": 1,
        "PERMANENT": 65,
        "TEMPORARY": 75,
        "STOPPED": 80,
        "PEER_LOST": 81,
    }
