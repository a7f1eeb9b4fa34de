"""Windows over long contexts, targets in tokens, best spans, and the official exact match and F1."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from pruning.data.reader import load_rows
from pruning.data.squad import Windows, compute_metrics, encode_windows, extract_answers, normalize_answer, target_positions
from pruning.errors import PermanentError
from pruning.sources import Sources
from pruning.spec.tasks import resolve_task
from tests import toy_datasets, toy_models

SPECIAL = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "mask_token": "[MASK]"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=toy_models.word_pieces(), **SPECIAL)


# What evaluate-v1.1.py gives, in per cent of one: prediction, golds, exact match, F1.
OFFICIAL: list[tuple[str, list[str], float, float]] = [
    ("cat", ["cat"], 1, 1),
    ("the cat", ["cat"], 1, 1),
    ("A Cat.", ["an cat"], 1, 1),
    ("cat the", ["cat"], 1, 1),
    ("theatre", ["atre"], 0, 0),  # an article is a word of its own
    ("another", ["other"], 0, 0),
    ("U.S.", ["US"], 1, 1),
    ("1,000", ["1000"], 1, 1),
    ("state-of-the-art", ["state of the art"], 0, 0),  # punctuation goes without leaving a blank
    ("the-cat", ["thecat"], 1, 1),  # and before the articles do
    ("new\n  york\t", ["new york"], 1, 1),
    ("a cat sat", ["the cat"], 0, 2 / 3),
    ("big dog", ["cat"], 0, 0),
    ("to be or not to be", ["to be"], 0, 0.5),
    ("to to to", ["to"], 0, 0.5),  # a word counts as often as it stands in both
    ("to to be", ["to to"], 0, 0.8),
    ("York New", ["New York"], 0, 1),  # F1 does not see order
    ("big red dog", ["red dog", "big red dog barks"], 0, 6 / 7),
    ("red dog", ["blue", "the red dog", "red"], 1, 1),
    ("", ["cat"], 0, 0),
    ("cat", [""], 0, 0),
    ("the", ["a"], 1, 0),  # nothing is left of either: equal, and no word in common
    ("Café", ["café"], 1, 1),
    ("Beyoncé", ["Beyonce"], 0, 0),
    ("“quoted”", ["quoted"], 0, 0),  # only ASCII punctuation goes
    ("1990–1995", ["1990-1995"], 0, 0),
    ("ÉCOLE normale", ["école Normale!"], 1, 1),
    ("北京 大学", ["北京"], 0, 2 / 3),
    ("$5 million", ["5 million"], 1, 1),
]


@pytest.mark.parametrize(("prediction", "golds", "exact", "f1"), OFFICIAL, ids=lambda value: str(value)[:20])
def test_exact_match_and_f1_are_the_official_ones(prediction: str, golds: list[str], exact: float, f1: float) -> None:
    found = compute_metrics([prediction], [golds])
    assert found == {"f1": pytest.approx(f1), "exact_match": exact}


def test_questions_count_alike() -> None:
    found = compute_metrics([case[0] for case in OFFICIAL], [case[1] for case in OFFICIAL])
    assert found["f1"] == pytest.approx(sum(case[3] for case in OFFICIAL) / len(OFFICIAL))
    assert found["exact_match"] == pytest.approx(sum(case[2] for case in OFFICIAL) / len(OFFICIAL))


def test_text_is_normalised_in_the_official_order() -> None:
    assert normalize_answer("  The  Quick, (brown) fox's AN\tanswer ") == "quick brown foxs answer"


def context_of(count: int) -> str:
    return " ".join((toy_models.FILLERS * 2)[:count])


def windows_of(tokenizer: Any, count: int, max_length: int, stride: int) -> tuple[Any, Windows]:
    """``count`` words of context, each one token, behind a question of two."""
    return encode_windows(tokenizer, ["very plot"], [context_of(count)], max_length, stride)


def words_in(windows: Windows, context: str) -> list[list[str]]:
    return [[context[span[0] : span[1]] for span in spans if span] for spans in windows.offsets]


def test_a_long_context_is_cut_into_windows_that_overlap_by_the_stride(tokenizer: Any) -> None:
    tokens, windows = windows_of(tokenizer, 15, max_length=12, stride=2)  # room for 12 - 5 = 7 words
    words = context_of(15).split()
    assert words_in(windows, context_of(15)) == [words[0:7], words[5:12], words[10:15]]
    assert windows.question == [0, 0, 0]
    assert [len(ids) for ids in tokens["input_ids"]] == [12, 12, 10]
    for ids, offsets in zip(tokens["input_ids"], windows.offsets, strict=True):
        assert tokenizer.convert_ids_to_tokens(ids[:4]) == ["[CLS]", "very", "plot", "[SEP]"]
        assert tokenizer.convert_ids_to_tokens(ids[-1]) == "[SEP]"
        assert offsets[:4] == [None] * 4
        assert offsets[-1] is None


def test_windows_know_their_question(tokenizer: Any) -> None:
    _, windows = encode_windows(tokenizer, ["plot", "very plot"], [context_of(3), context_of(15)], 12, 2)
    assert windows.question == [0, 1, 1, 1]


def test_a_context_that_fits_is_one_window(tokenizer: Any) -> None:
    _, windows = windows_of(tokenizer, 7, max_length=12, stride=2)
    assert len(windows.question) == 1


def test_a_question_that_leaves_no_room_is_refused(tokenizer: Any) -> None:
    with pytest.raises(PermanentError) as caught:
        encode_windows(tokenizer, [context_of(20)], [context_of(15)], 16, 4)
    assert (caught.value.code, caught.value.param) == ("window_too_short", "max_length")


def answer(context: str, first: int, last: int) -> dict[str, list[Any]]:
    """Words ``first`` to ``last`` of a context, as SQuAD writes an answer."""
    words = context.split(" ")
    text = " ".join(words[first : last + 1])
    return {"text": [text], "answer_start": [len(" ".join([*words[:first], ""]))]}


@pytest.mark.parametrize(
    ("first", "last", "targets"),
    [
        (0, 0, [[4, 4], [0, 0], [0, 0]]),
        (2, 4, [[6, 8], [0, 0], [0, 0]]),
        (5, 6, [[9, 10], [4, 5], [0, 0]]),  # in the overlap
        (6, 7, [[0, 0], [5, 6], [0, 0]]),  # cut by the end of the first window
        (9, 10, [[0, 0], [8, 9], [0, 0]]),  # and by the beginning of the last
        (14, 14, [[0, 0], [0, 0], [8, 8]]),
        (4, 12, [[0, 0], [0, 0], [0, 0]]),  # longer than any window
    ],
)
def test_targets_are_the_answers_tokens_in_windows_that_have_it_whole(
    tokenizer: Any, first: int, last: int, targets: list[list[int]]
) -> None:
    context = context_of(15)
    _, windows = windows_of(tokenizer, 15, max_length=12, stride=2)
    assert target_positions(windows, [answer(context, first, last)]).tolist() == targets


def test_the_first_gold_answer_is_the_target(tokenizer: Any) -> None:
    context = context_of(6)
    both = {key: answer(context, 1, 1)[key] + answer(context, 4, 4)[key] for key in ("text", "answer_start")}
    _, windows = windows_of(tokenizer, 6, 32, 4)
    assert target_positions(windows, [both]).tolist() == [[5, 5]]


def test_an_answer_that_ends_inside_a_word_takes_the_whole_token(tokenizer: Any) -> None:
    context = "the film was warm"
    _, windows = encode_windows(tokenizer, ["plot"], [context], 32, 4)
    assert target_positions(windows, [{"text": ["il"], "answer_start": [5]}]).tolist() == [[4, 4]]


def one_window(length: int, *, question: int = 2) -> Windows:
    """A window of ``length`` tokens: one, the question's, one; then words of one letter, then one."""
    inside = length - question - 3
    offsets: list[tuple[int, int] | None] = [None] * (question + 2)
    return Windows([0], [[*offsets, *((2 * i, 2 * i + 1) for i in range(inside)), None]])


LETTERS = " ".join("abcdefghijklmnopqrstuvwxyz" * 3)


def logits(length: int, starts: dict[int, float], ends: dict[int, float]) -> np.ndarray:
    values = np.full((length, 2), -5.0, dtype=np.float32)
    for column, peaks in enumerate((starts, ends)):
        for place, height in peaks.items():
            values[place, column] = height
    return values


def best(length: int, starts: dict[int, float], ends: dict[int, float]) -> str:
    return extract_answers([logits(length, starts, ends)], one_window(length), [LETTERS], 1)[0]


def test_the_best_span_has_the_largest_sum_of_start_and_end() -> None:
    assert best(20, {5: 3.0, 8: 2.0}, {6: 1.0, 9: 4.0}) == LETTERS[2:11]  # 5 to 9
    assert best(20, {8: 3.0, 5: 2.0}, {9: 4.0}) == LETTERS[8:11]


def test_an_end_before_its_start_is_no_span() -> None:
    assert best(20, {10: 9.0, 5: 1.0}, {7: 9.0}) == LETTERS[2:7]


def test_neither_question_nor_special_tokens_are_answers() -> None:
    assert best(20, {0: 9.0, 1: 9.0, 3: 9.0, 6: 1.0}, {0: 9.0, 2: 9.0, 19: 9.0, 7: 1.0}) == LETTERS[4:7]


def test_an_answer_has_at_most_thirty_tokens() -> None:
    assert best(60, {5: 9.0}, {34: 9.0}) == LETTERS[2 : 2 * 30 + 1]  # 30 tokens
    assert best(60, {5: 9.0, 6: 4.0}, {35: 9.0}) == LETTERS[4 : 2 * 31 + 1]  # 31 from 5, 30 from 6


def test_only_the_twenty_best_starts_and_ends_are_considered() -> None:
    starts = dict.fromkeys(range(35, 55), 5.0)
    ends = dict.fromkeys(range(10, 30), 5.0)
    assert best(60, {**starts, 6: 4.9}, {**ends, 56: 4.9}) == ""
    assert best(60, {**starts, 6: 5.1}, {**ends, 56: 4.9}) != ""


def test_of_equal_spans_the_first_is_taken() -> None:
    assert best(20, {5: 1.0, 8: 1.0}, {6: 1.0, 9: 1.0}) == LETTERS[2:5]


def test_the_best_window_of_a_question_wins() -> None:
    first, second = one_window(10), one_window(10)
    windows = Windows(
        [0, 1, 0], [first.offsets[0], first.offsets[0], [(s[0] + 10, s[1] + 10) if s else None for s in second.offsets[0]]]
    )
    values = [logits(10, {5: 1.0}, {6: 1.0}), logits(10, {4: 0.0}, {4: 0.0}), logits(10, {5: 1.0}, {6: 1.5})]
    assert extract_answers(values, windows, [LETTERS, LETTERS], 2) == [LETTERS[12:15], LETTERS[0:1]]
    values[2] = logits(10, {5: 1.0}, {6: 0.5})
    assert extract_answers(values, windows, [LETTERS, LETTERS], 2)[0] == LETTERS[2:5]


def test_a_question_without_a_possible_span_gets_an_empty_answer() -> None:
    windows = Windows([0], [[None] * 6])
    assert extract_answers([np.zeros((6, 2), dtype=np.float32)], windows, ["x"], 1) == [""]


GOOD_ROW = {"question": "very plot", "context": "the plot is warm", "answers": {"text": ["warm"], "answer_start": [12]}}


@pytest.mark.parametrize(
    "answers",
    [
        None,
        [],
        "warm",
        {},
        {"text": ["warm"]},
        {"text": [], "answer_start": []},
        {"text": "warm", "answer_start": 12},
        {"text": ["warm"], "answer_start": [11]},
        {"text": ["warm"], "answer_start": [120]},
        {"text": ["warm", "warm"], "answer_start": [12]},
        {"text": ["warm"], "answer_start": ["12"]},
        {"text": ["warm"], "answer_start": [-4]},
        {"text": [3], "answer_start": [12]},
        {"text": ["warm", None], "answer_start": [12, 1]},
        {"text": ["warm"], "answer_start": [None]},
        {"text": ["warm"], "answer_start": [12.0]},
    ],
    ids=str,
)
def test_answers_that_do_not_stand_in_their_context_are_refused_by_row(tmp_path: Path, answers: Any) -> None:
    rows = [GOOD_ROW, {**GOOD_ROW, "answers": answers}]
    toy_datasets.write_splits(tmp_path / "squad", {"train": rows})
    with pytest.raises(PermanentError, match="row 2 ") as caught:
        load_rows(resolve_task("squad"), "train", Sources(datasets_dir=tmp_path, hub=False))
    assert (caught.value.code, caught.value.param) == ("rows_invalid", "task")
