"""Models from a hub: pinned to a commit, cached for an unreachable hub, every failure with a code; against a real server."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pruning.formats import mask_file
from pruning.hub import models
from pruning.sources import Sources
from tests import toy_datasets, toy_models
from tests.fake_hub import FakeHub, serving
from tests.pruning.hub.warm_trainer import WarmTrainer, warm_trainer
from tests.pruning.runs import ROOT, ProgramExit, arguments_of

ASK = """
import json, sys
from pruning.errors import PruningError
from pruning.hub.models import download_model
for name, revision, *token in json.load(sys.stdin):
    try:
        located = download_model(name, revision, *token)
        print(json.dumps([located.path.name, located.revision, located.notice]))
    except PruningError as failure:
        print(json.dumps([type(failure).__name__, failure.code, failure.param]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    folder = tmp_path_factory.mktemp("published")
    hub = FakeHub()
    hub.publish("org/toy", toy_models.make_model(folder / "toy"))
    hub.publish("org/toy", toy_models.make_model(folder / "older", seed=1), branch="v1")
    hub.publish("org/secret", toy_models.make_model(folder / "secret"))
    hub.gated.add("org/secret")
    with serving(hub):
        yield hub


def environment(hub: FakeHub, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    return {**kept, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}


def ask(hub: FakeHub, home: Path, *wanted: tuple[str | None, ...]) -> list[list[Any]]:
    """What ``download_model`` gives or raises for names, revisions and perhaps tokens, one after the other in a process of
    its own."""
    process = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=ROOT,
        env=environment(hub, home),
        input=json.dumps(wanted).encode(),
        capture_output=True,
        timeout=120,
        check=True,
    )
    return [json.loads(line) for line in process.stdout.splitlines()]


def unreachable() -> Iterator[FakeHub]:
    """A port that is taken and on which unreachable_hub listens: connections are refused at once."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        yield FakeHub(url=f"http://127.0.0.1:{closed.getsockname()[1]}")


unreachable_hub = pytest.fixture(unreachable)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmTrainer]:
    folder = tmp_path_factory.mktemp("warm")
    with warm_trainer(folder, environment(FakeHub(), folder / "home")) as trainer:
        yield trainer


def run(warm: WarmTrainer, root: Path, work: str, **fields: Any) -> ProgramExit:
    sources = Sources(None, root / "datasets")
    return warm.run(arguments_of(root / work, {"model": "org/toy", "max_steps": 4, **fields}, sources))


def test_a_hub_model_is_downloaded_pinned_and_used_again_when_the_hub_is_gone(warm: WarmTrainer, tmp_path: Path) -> None:
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2", train=64, validation=16)
    hub = FakeHub()
    commit = hub.publish("org/toy", toy_models.make_model(tmp_path / "toy"))
    with warm.serving(hub):
        first = run(warm, tmp_path, "first")
    assert first.code == 0, first.stderr
    phases = [event.phase for event in first.events if event.event == "phase"]
    assert phases[:3] == ["downloading", "validating", "tokenizing"]
    info = mask_file.read_info(tmp_path / "first" / "artifacts" / "mask.safetensors")
    assert (info.base_model, info.base_revision) == ("org/toy", commit)
    assert any(path.endswith("model.safetensors") for path in hub.downloads)
    assert not any(event.event == "log" and event.level == "warning" and "hub" in event.message for event in first.events)

    second = run(warm, tmp_path, "second")
    assert second.code == 0, second.stderr
    (warning,) = [event for event in second.events if event.event == "log" and "unreachable" in event.message]
    assert warning.level == "warning"
    assert commit in warning.message
    again = mask_file.read_info(tmp_path / "second" / "artifacts" / "mask.safetensors")
    assert (again.base_revision, again.base_digest) == (commit, info.base_digest)


def test_a_hub_that_cannot_be_reached_is_a_temporary_failure_of_seconds(warm: WarmTrainer, tmp_path: Path) -> None:
    ended = run(warm, tmp_path, "work", model="org/elsewhere")
    assert ended.code == 75, ended.stderr
    assert (ended.last.event, ended.last.kind, ended.last.code) == ("error", "temporary", "hub_unreachable")
    assert ended.last.param == "model"
    assert (ended.last.time - ended.events[0].time).total_seconds() < 15


def test_failures_of_the_hub_are_distinguished(published: FakeHub, tmp_path: Path) -> None:
    assert ask(published, tmp_path, ("org/unheard", None), ("org/toy", "v9"), ("org/secret", None)) == [
        ["PermanentError", "model_not_found", "model"],
        ["PermanentError", "revision_not_found", "revision"],
        ["PermanentError", "model_gated", "model"],
    ]


def test_a_refused_token_is_not_an_unreachable_hub(tmp_path: Path) -> None:
    """What it once opened is in the cache, which must not stand in for it."""
    hub = FakeHub(tokens={"org/private": "hf_good"}, revoked={"hf_former"})
    commit = hub.publish("org/private", toy_models.make_model(tmp_path / "toy"))
    wanted = [("org/private", None, token) for token in ("hf_good", "hf_former", "hf_other")]
    with serving(hub):
        assert ask(hub, tmp_path, *wanted) == [
            [commit, commit, ""],
            ["PermanentError", "hub_token_refused", "model"],
            ["PermanentError", "model_not_found", "model"],
        ]


def test_branches_and_commits_are_resolved_to_the_commit_and_found_again_offline(
    published: FakeHub, tmp_path: Path, unreachable_hub: FakeHub
) -> None:
    main, older = published.branches["org/toy"]["main"], published.branches["org/toy"]["v1"]
    wanted = [("org/toy", None), ("org/toy", "v1"), ("org/toy", older), ("org/toy", "main")]
    assert ask(published, tmp_path, *wanted) == [[commit, commit, ""] for commit in (main, older, older, main)]
    offline = ask(unreachable_hub, tmp_path, *wanted)
    assert [answer[:2] for answer in offline] == [[commit, commit] for commit in (main, older, older, main)]
    assert all("unreachable" in note for _, _, note in offline)
    assert (
        ask(unreachable_hub, tmp_path, ("org/toy", "v2"), ("org/other", None))
        == [["TemporaryError", "hub_unreachable", "model"]] * 2
    )


def test_only_what_a_model_needs_is_downloaded(tmp_path: Path) -> None:
    hub = FakeHub()
    folder = toy_models.make_model(tmp_path / "toy")
    for name in ("pytorch_model.bin", "run_me.py", "tf_model.h5", "NOTES.md"):
        (folder / name).write_text("not wanted")
    (folder / "README.md").write_text("its licence stands here")
    hub.publish("org/toy", folder)
    with serving(hub):
        ask(hub, tmp_path / "home", ("org/toy", None))
    sent = {path.rpartition("/")[2] for path in hub.downloads if "/resolve/" in path}
    assert sent == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}


def test_a_model_beyond_the_limit_is_refused_before_anything_is_downloaded(warm: WarmTrainer, tmp_path: Path) -> None:
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2", train=64, validation=16)
    hub = FakeHub()
    hub.publish("org/large", toy_models.make_model(tmp_path / "toy"))
    spec, sources = {"model": "org/large", "max_steps": 4}, Sources(None, tmp_path / "datasets")
    with warm.serving(hub):
        ended = warm.run(arguments_of(tmp_path / "work", spec, sources, "--hub-model-bytes", "1000"))
    assert (ended.last.kind, ended.last.code, ended.last.param) == ("permanent", "model_too_large", "model")
    assert not [path for path in hub.downloads if "/resolve/" in path]


def test_private_models_and_data_sets_are_opened_by_a_token_that_stands_nowhere_but_in_its_file(
    warm: WarmTrainer, tmp_path: Path
) -> None:
    data = toy_datasets.make_opinions(tmp_path / "data", train=64, validation=16)
    hub = FakeHub()
    hub.publish("org/private", toy_models.make_model(tmp_path / "toy"))
    hub.publish("datasets/org/opinions", data)
    hub.tokens = {"org/private": "hf_secret", "datasets/org/opinions": "hf_secret"}
    file = tmp_path / "token"
    file.write_text("hf_secret\n")
    task = {"dataset": "org/opinions", "text": ["sentence"], "label_words": ["terrible", "great"]}
    spec = {"model": "org/private", "task": task, "max_steps": 4}
    with warm.serving(hub):
        refused = warm.run(arguments_of(tmp_path / "refused", spec, Sources()))
        opened = warm.run([*arguments_of(tmp_path / "opened", spec, Sources()), "--token-file", str(file)])
    assert (refused.code, refused.last.code, refused.last.param) == (65, "model_not_found", "model")
    assert opened.code == 0, opened.stderr
    assert any(event.event == "phase" and "org/opinions" in event.message for event in opened.events)
    output = opened.stderr + "".join(event.model_dump_json() for event in opened.events)
    assert "hf_secret" not in output
    assert "hf_secret" not in json.dumps(mask_file.read_info(tmp_path / "opened/artifacts/mask.safetensors").model_dump())


def test_downloads_report_how_far_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PROGRESS_SECONDS", 0.0)
    messages: list[str] = []
    with models.progress_bar_class(messages.append)(total=4_000_000, unit="B", name="x", mininterval=0) as bar:
        for _ in range(4):
            bar.update(1_000_000)
    assert messages[-1] == "4.0 of 4.0 MB"
    assert "2.0 of 4.0 MB" in messages
