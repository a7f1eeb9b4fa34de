"""Redaction of secrets in text that is logged."""

import base64

import pytest

from service import redaction
from service.environment import settings_or_exit
from service.redaction import redact

KEY, WEBHOOK = "esp_" + "0aB1cD" * 6 + "eF", "whsec_" + "aB+/" * 10 + "aB0="


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("cannot connect to postgresql://espalier:pa%40ss@db:5432/espalier: timeout", "pa%40ss", "@db:5432/espalier: timeout"),
        ("redis://:hunter22@cache/0", "hunter22", "@cache/0"),
        ("git+https://tokenOfMine@example.com/x", "tokenOfMine", "example.com/x"),
        (f"key {KEY}, revoked", KEY[4:], ", revoked"),
        (f"signed with {WEBHOOK}", WEBHOOK[6:], "signed with"),
        ("the hub refuses hf_abcdefghijklmnopqrstuvwx", "hf_abc", "the hub refuses"),
        ("headers: {'authorization': 'Bearer sk-1234567890', 'accept': '*/*'}", "sk-1234567890", "'accept': '*/*'"),
        ("connection failed: host=db user=me password=hunter22 port=5432", "hunter22", "port=5432"),
        ("GET /b/k?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=0a1b2c&x=1 403", "0a1b2c", "x=1 403"),
        ("aws_secret_access_key: 'abc/def+ghi'", "abc/def", "aws_secret_access_key"),
    ],
)
def test_a_secret_is_replaced_and_the_rest_is_kept(text: str, secret: str, kept: str) -> None:
    assert secret not in redact(text)
    assert kept in redact(text)


def test_text_without_secrets_stays_as_it_is() -> None:
    text = "job_01 of a@b.c: https://huggingface.co/x@main, hf_hub_download, resp_1, whsec_, 3 tokens: a, b (esp_short)"
    assert redact(text) == text


def test_secrets_of_the_settings_are_replaced_where_they_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setenv("ESPALIER_DATABASE_URL", "postgresql://me:correct%20horse%20battery@db/x")
    monkeypatch.setenv("ESPALIER_BROKER_URL", "redis://:espalier@cache/0")
    monkeypatch.setenv("ESPALIER_SECRET_KEY", key)
    monkeypatch.setenv("ESPALIER_OTLP_ENDPOINT", "https://collector.example/token-0123456789")
    settings_or_exit()
    for secret in (key, "correct horse battery", "correct%20horse%20battery", "token-0123456789"):
        assert redact(f"failed: {secret}!") == "failed: [secret]!"
    assert redact("espalier worker") == "espalier worker", "a short password is a word"
