"""A program: compile everything that a step on a GPU launches, for a GPU that need not be here, and see it ask for nothing.

The interpreter takes more than the compiler does. Launches are caught on their way and what they ask for is compiled, down to
machine code, with the argument types they would have had.
"""

from typing import Any
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction, mangle_type

from pruning.masking.kernels.triton.adam import ScoreUpdate, StepScalars
from pruning.masking.kernels.triton.allocation import MassAllocation
from pruning.masking.kernels.triton.chunk_table import ChunkTable
from pruning.masking.kernels.triton.topk import TopKSelection
from pruning.masking.methods.base import Method
from pruning.masking.methods.smp import SmpG, SmpL, SmpS
from pruning.masking.schedule import Schedule
from pruning.masking.score_adam import ScoreAdam
from pruning.masking.weight_adam import WeightAdam
from pruning.masking.wrap import wrap_linears
from pruning.spec.schema import PruningSpec
from pruning.training.gpu_pruner import GpuPruner
from pruning.training.pruner import Pruner

TARGET = GPUTarget("cuda", 90, 32)
CPU = torch.device("cpu")
ANSWERS = ("item", "tolist", "numpy", "cpu", "nonzero", "__bool__", "__int__", "__float__", "__index__")
"""What a host would have to wait for a GPU's numbers for."""
compiled: dict[str, Any] = {}


def compile_in_place_of_launching(program: Any, *given: Any, grid: Any, warmup: bool, **options: Any) -> None:
    names = program.arg_names
    values = dict(zip(names, given, strict=False)) | {name: options[name] for name in names if name in options}
    fixed = {parameter.name for parameter in program.params if parameter.is_constexpr} | {
        name for name, value in values.items() if isinstance(value, int) and value == 1 and not _unspecialized(program, name)
    }
    signature = {name: "constexpr" if name in fixed else mangle_type(values[name]) for name in names}
    aligned = [i for i, name in enumerate(names) if signature[name].startswith("*")]
    source = ASTSource(
        fn=program,
        signature=signature,
        constexprs={name: values[name] for name in fixed},
        attrs={(i,): [["tt.divisibility", 16]] for i in aligned},
    )
    how = {name: value for name, value in options.items() if name not in names}
    key = f"{program.__name__} {signature} {[values[name] for name in sorted(fixed)]} {how}"
    if key not in compiled:
        compiled[key] = triton.compile(source, target=TARGET, options=how)


def _unspecialized(program: Any, name: str) -> bool:
    return any(parameter.name == name and parameter.do_not_specialize for parameter in program.params)


def launch(method: Method, *, bf16: bool = False, extras: bool = False) -> None:
    """Two steps, of which nothing is to be asked; with ``bf16`` under autocast, with ``extras`` training biases."""
    model = torch.nn.ModuleList([torch.nn.Linear(128, 256), torch.nn.Linear(256, 128)])
    matrices = wrap_linears(model)

    def loss_of(rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return torch.tanh(model[1](torch.tanh(model[0](rows)))).float().square().mean()

    spec = PruningSpec(model="m", task="sst2", max_steps=2)
    adam = ScoreAdam(list(matrices.layers.values()))
    plain = Pruner(matrices, method, adam, Schedule.from_spec(spec, 2), loss_of)
    if extras:
        biases = [layer.bias.requires_grad_() for layer in matrices.layers.values() if layer.bias is not None]
        plain.weight_adam = WeightAdam([], biases, 1e-3)
    pruner = GpuPruner.from_pruner(plain, bf16=bf16)
    replaced: dict[str, Any] = dict.fromkeys(ANSWERS, asked)
    with mock.patch.multiple(torch.Tensor, **replaced):
        for t in range(2):
            pruner.launch(t, [torch.ones(2, 128)])


def asked(*_: Any) -> None:
    raise AssertionError("a step asks for a number, so its host would wait for the GPU")


def main() -> None:
    JITFunction.run = compile_in_place_of_launching
    for method in (SmpS(), SmpL(), SmpG()):
        launch(method)
    launch(SmpS(), extras=True)
    launch(SmpS(), bf16=True)
    launch(SmpS(), bf16=True, extras=True)
    for sizes in ([32768, 16], [32769, 7]):
        table = ChunkTable(sizes, CPU)
        tensors = [torch.zeros(size) for size in sizes]
        halves = [torch.zeros(size, dtype=torch.bfloat16) for size in sizes]
        numbers = torch.zeros(len(StepScalars._fields), dtype=torch.float64)
        update = ScoreUpdate(table)
        update.gradients(tensors, tensors, tensors, tensors, [None, None], numbers)
        update.gradients(halves, tensors, tensors, tensors, tensors, numbers)
        update.clip_norm(numbers, others=numbers, losses=numbers[:1])
        update.adam(tensors, tensors, tensors, tensors, numbers, [1.0, None])
        update.compute_masses(tensors, [1.0, 1.0])
        for together in (False, True):
            selection = TopKSelection(table, together=together)
            counts = torch.zeros(1 if together else 2, dtype=torch.int64)
            selection.select(tensors, counts)
            selection.select(tensors, counts, tensors, tensors, halves)
        for surplus in ("redistribute", "drop"):
            MassAllocation(table, [[0, 1]], surplus).allocate(update.masses, numbers[:1])
        ones = torch.zeros(2, dtype=torch.int64)
        MassAllocation(table, [[1]], "redistribute").allocate_within(update.masses, ones, ones[:1])
    reading = [made.asm["ptx"] for key, made in compiled.items() if key.startswith("adam ") and "True" in key]
    assert all("ld.global.v4" in text for text in reading), "sixteen bytes are to be read at once"
    assert not any("fma.rn.f32" in text for text in reading), "a product and a sum are two roundings"


if __name__ == "__main__":
    main()
