"""LoRA by ``peft``: adapters on the query and value matrices, the new head trained whole, by the loop of full fine-tuning."""

from typing import Any

from torch import nn

from benchmarks.quality.rivals.inputs import DenseInputs

_TARGETS = (("query", "value"), ("q_lin", "v_lin"), ("q_proj", "v_proj"), ("q", "v"))
"""Names of query and value in BERT and its kin, DistilBERT, decoders, MPNet."""


class LoraError(ValueError):
    """A model whose query and value matrices are called otherwise."""


def adapters(dense: DenseInputs, settings: dict[str, Any]) -> nn.Module:
    """The model with adapters: these and its new head train. Raises LoraError."""
    from peft import LoraConfig, TaskType, get_peft_model

    model = dense.inputs.loaded.model
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=settings["rank"],
        lora_alpha=settings["alpha"],
        lora_dropout=settings["dropout"],
        target_modules=list(_query_and_value(model)),
        modules_to_save=_new_modules(dense),
    )
    adapted: nn.Module = get_peft_model(model, config)
    return adapted.to(dense.device)


def _query_and_value(model: nn.Module) -> tuple[str, str]:
    names = {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    for pair in _TARGETS:
        if names.issuperset(pair):
            return pair
    raise LoraError(f"{type(model).__name__} has no linear layers called {_TARGETS}; its linears are {sorted(names)}")


def _new_modules(dense: DenseInputs) -> list[str]:
    """Modules with parameters that the checkpoint does not have: the head, and a pooler where that is new."""
    paths = {name.rpartition(".")[0] for name in dense.inputs.loaded.new_parameters}
    tops = {"classifier", "score", "pooler", "pre_classifier"}
    return sorted({next((part for part in path.split(".") if part in tops), path) for path in paths})
