"""Token cache: its tokens equal the tokenizer's, files of other keys are not read, and its size stays within the limit."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from pruning.data.encoding import encode_rows
from pruning.data.reader import Rows, load_rows
from pruning.data.token_cache import MIN_ROWS, TokenCache, cache_key, from_sources
from pruning.events import Event, LogEvent, PhaseEvent
from pruning.sources import Sources
from pruning.spec.tasks import resolve_task
from tests import toy_datasets, toy_models
from tests.pruning.runs import of_kind, run_toy, same_masks

LENGTH = 16
ONE = Rows((["the film", "a dull day", "a"],), [1, 0, 1], "train", public=True)
PAIRS = Rows((["the film", "a"], ["a dull day " * 9, "dull"]), [1, 0], "train", public=True)


@pytest.fixture(scope="module", params=["bert", "roberta"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_models.make_model(tmp_path_factory.mktemp("models") / request.param, request.param)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(toy_models.make_model(tmp_path_factory.mktemp("models") / "bert"))


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def cache(tmp_path: Path, events: list[Event]) -> TokenCache:
    return TokenCache(tmp_path / "a" / "tokens", 100_000, events.append, min_rows=1)


def kept(cache: TokenCache) -> list[Path]:
    return sorted(cache.folder.glob("*"), key=lambda file: file.stat().st_mtime_ns)


def never() -> Any:
    raise AssertionError("the rows were tokenized again")


@pytest.mark.parametrize(("rows", "task"), [(ONE, "sst2"), (PAIRS, "mrpc")])
def test_found_tokens_are_those_of_the_tokenizer(
    model: Path, cache: TokenCache, events: list[Event], rows: Rows, task: str
) -> None:
    def encoded(with_cache: TokenCache | None) -> Any:
        tokenizer = AutoTokenizer.from_pretrained(model)  # of another process: it has tokenized nothing yet
        return encode_rows(rows, resolve_task(task), tokenizer, LENGTH, cache=with_cache)

    plain, first = encoded(None), encoded(cache)
    assert not events
    second = encoded(cache)
    assert [event.message for event in events if isinstance(event, PhaseEvent)] == [
        f"{len(rows.labels)} rows of split 'train' found in the token cache"
    ]
    for each in (first, second):
        assert each.input_ids == plain.input_ids
        assert each.token_type_ids == plain.token_type_ids
        assert each.labels.equal(plain.labels)
    assert type(second.input_ids[0][0]) is int


def test_a_key_is_of_everything_that_tokens_depend_on(bert: Any, tmp_path: Path) -> None:
    key = cache_key(ONE, bert, LENGTH)
    bert(["a film"], truncation=True, max_length=7, padding="max_length")
    assert cache_key(ONE, bert, LENGTH) == key, "what a tokenizer did before is no part of it"
    assert cache_key(replace(ONE, labels=[0, 0, 0], split="dev"), bert, LENGTH) == key
    others = [["the film", "a dull day", "b"], ["the film", "a dull day"], ["the film", "a dull daya", ""], ["\ud800"]]
    keys = {cache_key(replace(ONE, texts=(texts,)), bert, LENGTH) for texts in others}
    keys |= {cache_key(replace(ONE, texts=ONE.texts * 2), bert, LENGTH), cache_key(ONE, bert, LENGTH + 1)}
    more = AutoTokenizer.from_pretrained(bert.name_or_path)
    more.add_tokens(["film"])
    left = AutoTokenizer.from_pretrained(bert.name_or_path, truncation_side="left")
    untyped = AutoTokenizer.from_pretrained(bert.name_or_path, model_input_names=["input_ids"])
    keys |= {cache_key(ONE, tokenizer, LENGTH) for tokenizer in (more, left, untyped)}
    assert len(keys - {key}) == 9


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut, _flip, lambda file: file.write_text("tokens")])
def test_a_damaged_file_is_logged_and_replaced(
    bert: Any, cache: TokenCache, events: list[Event], damage: Callable[[Path], Any]
) -> None:
    plain = encode_rows(ONE, resolve_task("sst2"), bert, LENGTH, cache=cache)
    (file,) = kept(cache)
    whole = file.read_bytes()
    damage(file)
    assert encode_rows(ONE, resolve_task("sst2"), bert, LENGTH, cache=cache).input_ids == plain.input_ids
    assert [event.message.split(" (")[0] for event in events if isinstance(event, LogEvent)] == [
        "a damaged file of the token cache is replaced"
    ]
    assert len(file.read_bytes()) == len(whole)
    assert cache.tokens(ONE, bert, LENGTH, never)["input_ids"] == plain.input_ids


def test_a_file_of_other_rows_is_not_taken_for_these(bert: Any, cache: TokenCache, events: list[Event]) -> None:
    encode_rows(ONE, resolve_task("sst2"), bert, LENGTH, cache=cache)
    kept(cache)[0].rename(cache.folder / f"tokens-{cache_key(PAIRS, bert, LENGTH)}.safetensors")
    plain = encode_rows(PAIRS, resolve_task("mrpc"), bert, LENGTH)
    assert encode_rows(PAIRS, resolve_task("mrpc"), bert, LENGTH, cache=cache).input_ids == plain.input_ids
    assert len(events) == 1


def test_what_was_unused_for_longest_goes_first_and_leftovers_too(bert: Any, cache: TokenCache) -> None:
    rows = [replace(ONE, texts=([word] * 3,)) for word in ("a", "film", "dull", "day")]

    def use(number: int) -> None:
        encode_rows(rows[number], resolve_task("sst2"), bert, LENGTH, cache=cache)

    use(0)
    cache.max_bytes = 3 * kept(cache)[0].stat().st_size
    for number in (1, 2):
        use(number)
    for age, file in enumerate(reversed(kept(cache)), 1):  # the file system's clock may be coarse
        os.utime(file, (10**9 - age, 10**9 - age))
    first, second, third = kept(cache)
    foreign, left = cache.folder / "model.safetensors", cache.folder / ".tokens-0.safetensors.x"
    for file in (foreign, left):
        file.write_text("unfinished")
        os.utime(file, (0, 0))
    (cache.folder / ".tokens-1.safetensors.x").write_text("being written")
    use(0)
    use(3)
    there = set(kept(cache))
    assert {first, third, foreign, cache.folder / ".tokens-1.safetensors.x"} < there
    assert not {second, left} & there
    cache.max_bytes = 10
    use(1)
    assert set(kept(cache)) == there, "what is larger than all that may be kept drives nothing out"


def test_a_folder_that_cannot_be_written_to_is_logged_once(
    bert: Any, cache: TokenCache, events: list[Event], tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("not a folder")
    for _ in range(2):
        assert len(encode_rows(ONE, resolve_task("sst2"), bert, LENGTH, cache=cache).input_ids) == 3
    assert ["not kept" in event.message for event in events if isinstance(event, LogEvent)] == [True]


def test_private_rows_and_small_ones_are_not_kept(bert: Any, cache: TokenCache) -> None:
    encode_rows(replace(ONE, public=False), resolve_task("sst2"), bert, LENGTH, cache=cache)
    cache.min_rows = 4
    encode_rows(ONE, resolve_task("sst2"), bert, LENGTH, cache=cache)
    assert not cache.folder.exists()


def test_uploaded_rows_are_not_public(tmp_path: Path) -> None:
    for folder in ("datasets", "uploads"):
        toy_datasets.make_opinions(tmp_path / folder / "sst2", train=4)
    local = Sources(datasets_dir=tmp_path / "datasets", token="t")
    assert load_rows(resolve_task("sst2"), "train", local).public
    assert not load_rows(resolve_task("sst2"), "train", replace(local, uploads_dir=tmp_path / "uploads")).public


def test_a_run_has_a_cache_where_there_is_a_folder_and_room(tmp_path: Path) -> None:
    assert from_sources(Sources(), print) is None
    assert from_sources(Sources(token_cache=tmp_path, token_cache_bytes=0), print) is None
    assert from_sources(Sources(token_cache=tmp_path), print) == TokenCache(tmp_path, 1024**3, print)


@pytest.mark.slow
def test_a_run_ends_with_the_same_bits_whether_tokens_were_found_or_not(tmp_path: Path) -> None:
    toy_models.make_model(tmp_path / "models" / "bert")
    toy_datasets.make_opinions(tmp_path / "datasets" / "sst2", train=MIN_ROWS)
    plain = Sources(tmp_path / "models", tmp_path / "datasets", hub=False)
    caching = replace(plain, token_cache=tmp_path / "tokens")
    phases_of = {}
    for name, sources in (("plain", plain), ("first", caching), ("second", caching)):
        phases_of[name] = of_kind(run_toy(sources, tmp_path / name, max_steps=3), "phase")
    found = {name: [event.message for event in phases if "found" in event.message] for name, phases in phases_of.items()}
    assert found == {"plain": [], "first": [], "second": ["1000 rows of split 'train' found in the token cache"]}
    assert same_masks(tmp_path / "plain", tmp_path / "first")
    assert same_masks(tmp_path / "plain", tmp_path / "second")
