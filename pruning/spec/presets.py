"""Presets of a spec: the points on which the SMP paper and its code disagree, pinned to one side.

``paper`` is the text (arXiv 2210.06210v2), ``upstream`` the code that produced the published numbers (kongds/SMP);
``docs/reference/presets.md`` lists every point with its reason. Called by :class:`pruning.spec.schema.PruningSpec` before
validation.
"""

from typing import Any

from pydantic_core import PydanticCustomError

PRESETS: dict[str, dict[str, Any]] = {
    "espalier": {},
    "paper": {
        "adam_epsilon": "corrected",  # "Adam", without further detail
        "regularization_ramp": "sparsity",  # eq. 6: λ s_t / s_f
        "temperature": 1.0,  # eq. 4 has no temperature
        "surplus": "redistribute",  # eq. 4 fixes the total; the paper does not say what happens above 1
    },
    "upstream": {
        "adam_epsilon": "uncorrected",
        "regularization_ramp": "run",
        "surplus": "drop",
        "max_grad_norm": 1.0,  # the Hugging Face Trainer's default, active though never mentioned
    },
}
TASK_PRESETS: dict[tuple[str, str], dict[str, Any]] = {
    ("upstream", "rte"): {"epochs": 100},  # run.sh; the paper says 60
    # run.sh maps MNLI's classes to the order of its teacher before it looks up the words
    ("upstream", "mnli"): {"label_words": ("Maybe", "No", "Yes")},
}


def apply_preset(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` with the preset's points filled in.

    Raises PydanticCustomError where a field contradicts the preset that pins it.
    """
    name = values.get("preset", "espalier")
    if not isinstance(name, str) or name not in PRESETS:
        return values
    for field, pinned in PRESETS[name].items():
        if values.get(field) is not None and values[field] != pinned:
            raise PydanticCustomError(
                "preset_conflict",
                "preset {preset} pins {field} to {pinned}; leave the field out or choose another preset",
                {"preset": repr(name), "param": field, "field": field, "pinned": repr(pinned)},
            )
        values[field] = pinned
    task = values.get("task")
    for field, value in TASK_PRESETS.get((name, task) if isinstance(task, str) else ("", ""), {}).items():
        replaced_by_steps = field == "epochs" and values.get("max_steps") is not None
        if values.get(field) is None and not replaced_by_steps:
            values[field] = value
    return values
