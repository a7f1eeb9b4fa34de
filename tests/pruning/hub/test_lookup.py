"""Lookup of a name on the hub within two seconds; without an answer the name is left to the trainer."""

import socket

import pytest

from pruning.hub.lookup import HubModel, find_on_hub
from tests import toy_models
from tests.fake_hub import FakeHub, serving


def test_a_model_is_there_or_not(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub()
    hub.publish("org/toy", toy_models.make_model(tmp_path_factory.mktemp("hub") / "toy"))
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        found = find_on_hub("org/toy")
        assert isinstance(found, HubModel)
        assert {"config.json", "model.safetensors"} <= found.files
        assert found.config["model_type"] == "bert"
        assert find_on_hub("org/toy", "main") == found
        assert find_on_hub("org/toy", "v9") is False
        assert find_on_hub("org/tow") is False
    assert find_on_hub("org/toy") is None


def test_a_hub_that_is_silent_is_waited_for_no_longer_than_the_time_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert find_on_hub("toy", seconds=0.3) is None


def test_an_endpoint_that_is_no_web_address_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    assert find_on_hub("passwd") is None
