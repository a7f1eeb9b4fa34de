"""Fast dropout against its published generator, and against what torch computes in its place."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from transformers import AutoModelForMaskedLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from pruning.masking.kernels import dispatch
from pruning.models import dropout
from tests import toy_models

pytestmark = pytest.mark.skipif(bool(dispatch.unavailable_reason()), reason=f"no native kernels: {dispatch.unavailable_reason()}")
Words = npt.NDArray[np.uint32]


def philox(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 as published: [N, 4] of counters [N, 4]."""
    c0, c1, c2, c3 = (counter[:, i].astype(np.uint64) for i in range(4))
    low = np.uint64(0xFFFFFFFF)
    k0, k1 = key
    for _ in range(10):
        p, q = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = ((q >> np.uint64(32)) ^ c1 ^ np.uint64(k0), q & low, (p >> np.uint64(32)) ^ c3 ^ np.uint64(k1), p & low)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_generator_of_these_tests_gives_the_published_answers(
    counter: list[int], key: tuple[int, int], expected: list[int]
) -> None:
    assert philox(np.array([counter], dtype=np.uint32), key)[0].tolist() == expected


def kept(n: int, seed: int, p: float) -> npt.NDArray[np.bool_]:
    """Which of n elements stay: 64 of them share 16 counters, whose first words come first."""
    counters = np.zeros((-(-n // 64) * 16, 4), dtype=np.uint32)
    counters[:, 0] = np.arange(len(counters))
    words = philox(counters, (seed & 0xFFFFFFFF, seed >> 32)).reshape(-1, 16, 4).transpose(0, 2, 1).reshape(-1)[:n]
    return words >= np.uint32(round(p * 2**32))


@pytest.mark.parametrize("n", [1, 63, 64, 1000, 200_003])
def test_the_elements_that_stay_are_those_of_the_generator(n: int) -> None:
    seed, p = 0x1234_5678_9ABC_DEF0, 0.3
    x = torch.randn(n) + 10
    native = dispatch.cpu_kernels_for([x])
    assert native is not None
    expected = torch.where(torch.from_numpy(kept(n, seed, p)), x * (1 / 0.7), torch.zeros(()))
    torch.testing.assert_close(native.dropout(x, seed, p), expected, rtol=1e-6, atol=0)
    half = x.bfloat16()
    torch.testing.assert_close(native.dropout(half, seed, p), torch.where(expected != 0, half.float() / 0.7, 0.0).bfloat16())


def test_the_bits_do_not_depend_on_the_number_of_threads() -> None:
    x = torch.randn(300_000)
    native, threads, found = dispatch.cpu_kernels_for([x]), torch.get_num_threads(), []
    assert native is not None
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(native.dropout(x, 3, 0.1))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_backward_pass_drops_what_the_forward_pass_dropped_and_seeds_come_from_torch() -> None:
    x = torch.full((50, 70), 2.0, requires_grad=True)
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        y, z = dropout.fast_dropout(x, 0.25), dropout.fast_dropout(x, 0.25)
        (x_grad,) = torch.autograd.grad(y.sum(), x)
        torch.testing.assert_close(x_grad, y.detach() / 2)
        assert not torch.equal(y, z)
        found.append(y)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert float((found[0] == 0).double().mean()) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("mask", ["none", "bool", "added"])
def test_attention_is_that_of_torch_where_next_to_nothing_is_dropped(mask: str) -> None:
    torch.manual_seed(0)
    found = []
    allowed = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    allowed[1, :, :, 3:] = False
    masks = {"none": None, "bool": allowed, "added": torch.zeros(2, 1, 5, 5).masked_fill(~allowed, -1e30)}
    q, k, v = (torch.randn(2, 3, 5, 4, requires_grad=True) for _ in range(3))
    module = nn.Module()
    module.is_causal = False  # type: ignore[assignment]
    for call, p in ((dropout.attention, 1e-9), (sdpa_attention_forward, 0.0)):
        y, nothing = call(module, q, k, v, masks[mask], p)
        assert nothing is None
        found.append([y, *torch.autograd.grad((y * torch.arange(4)).sum(), (q, k, v))])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("special", ["causal", "position_bias"])
def test_attention_that_is_more_than_that_is_left_to_transformers(special: str) -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    module, options = nn.Module(), {}
    if special == "position_bias":
        module.is_causal = False  # type: ignore[assignment]
        options["position_bias"] = torch.randn(1, 3, 5, 5)
    found = []
    for call in (dropout.attention, sdpa_attention_forward):
        torch.manual_seed(1)
        found.append(call(module, q, k, v, None, 0.5, **options)[0])  # type: ignore[arg-type]
    assert torch.equal(*found)


@pytest.mark.parametrize("shape", toy_models.SHAPES)
def test_a_model_computes_what_it_did_before(shape: str, tmp_path: Path) -> None:
    folder = toy_models.make_model(tmp_path / shape, shape)
    stock, ours = (AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
    ids = torch.arange(5, 17).view(2, 6)
    inputs = {"input_ids": ids, "attention_mask": (ids != 16).long()}
    dropout.replace_dropout(ours)
    assert not any(type(part) is nn.Dropout for part in ours.modules())
    with torch.no_grad():
        assert torch.equal(ours.eval()(**inputs).logits, stock.eval()(**inputs).logits)
        torch.manual_seed(0)
        with dispatch.plain_only():
            plain = ours.train()(**inputs).logits
        torch.manual_seed(0)
        assert torch.equal(plain, stock.train()(**inputs).logits), "without kernels it is torch's own dropout"
        torch.manual_seed(0)
        first, second = ours(**inputs).logits, ours(**inputs).logits
        torch.manual_seed(0)
        assert torch.equal(first, ours(**inputs).logits)
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)
