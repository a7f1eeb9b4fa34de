"""Templates of a spec: named ones become their text, and what no row could be read with is refused by name."""

from typing import Any

import pytest
from pydantic import ValidationError

from pruning.spec.errors import error_details
from pruning.spec.schema import PruningSpec
from pruning.spec.tasks import TASKS
from pruning.spec.templates import LM_BFF_TEMPLATES, Chunk, Slot, ends_with_mask, split_template


def test_named_templates_become_text_that_stays() -> None:
    for task in LM_BFF_TEMPLATES:
        spec = PruningSpec(model="m", task=task, template="lm-bff")
        assert spec.template == spec.task_info.template == LM_BFF_TEMPLATES[task]
        assert PruningSpec.model_validate_json(spec.model_dump_json()) == spec
    assert LM_BFF_TEMPLATES.keys() == {name for name, task in TASKS.items() if task.kind != "span"}
    assert PruningSpec(model="m", task="sst2").task_info.template is None


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "It was {mask}."},
        {"template": "{text} {text} {mask}"},
        {"template": "{text} {mask} {mask}"},
        {"template": "{text_a} {mask}"},
        {"template": "{text} {mask} {"},
        {"template": "{sentence} {mask}"},
        {"template": "{text}"},
        {"template": "{text} {mask}", "task": "rte"},
        {"template": "lm-bff", "task": "squad"},
        {"template": "{text} {mask}", "head": "classifier"},
        {"template": "{text}{mask}" + "x" * 500},
        {"template": ""},
    ],
)
def test_what_is_no_template_is_refused_by_name(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        PruningSpec.model_validate({"model": "m", "task": "sst2", **fields})
    assert [fault["param"] for fault in error_details(caught.value)] == ["template"]


def test_a_template_in_its_parts() -> None:
    assert split_template("{text} It was {mask}.") == [Slot(0, after_blank=False), Chunk(" It was", ".")]
    assert split_template("So {text_b}? {mask}, {text_a}") == [
        Chunk("So", None),
        Slot(1, after_blank=True),
        Chunk("?", ","),
        Slot(0, after_blank=True),
    ]
    assert ends_with_mask("{text} It was {mask} ")
    assert not ends_with_mask("{text} It was {mask}.")
