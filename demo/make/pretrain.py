"""Masked language model pretraining on generated text: the dense model that the demonstration prunes."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForMaskedLM

from demo.make.corpus import pretraining_text
from demo.make.rng import Rng
from demo.make.tokenizer import CLS, MASK, PAD, SEP, SPECIAL_TOKENS
from demo.make.word_vectors import word_vectors

# The longest of 40,000 generated passages has 63 pieces, the mean 24.
MAX_LENGTH = 64
COUNTED_TEXTS = 40_000


@dataclass(frozen=True)
class Pretraining:
    """Settings of one pretraining run."""

    steps: int = 2500
    batch_size: int = 48
    learning_rate: float = 1.5e-3
    warmup: int = 200
    # More than BERT's 15 %: a small model on short passages learns more per pass from denser masking.
    mask_share: float = 0.25
    weight_decay: float = 0.01
    seed: int = 1


def small_bert(vocabulary_size: int) -> BertForMaskedLM:
    """Four layers of width 128: about 1.1 million parameters, 786,432 of them prunable."""
    config = BertConfig(
        vocab_size=vocabulary_size,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=MAX_LENGTH,
        # Every passage is fresh, so there is nothing to overfit; the saved configuration says 0.1 again.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        # At width 128, 0.06 starts a little faster than BERT's 0.02: loss 3.08 against 3.16 after 800 steps.
        initializer_range=0.06,
        pad_token_id=PAD,
        tie_word_embeddings=True,
    )
    return BertForMaskedLM(config)


def _wave_positions(count: int, width: int) -> Tensor:
    """Sine waves, from which a head can read "the piece before" at once instead of learning 64 positions."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(1000.0) / width))
    angles = torch.arange(count).unsqueeze(1) * rates
    return torch.cat((angles.sin(), angles.cos()), dim=1)


def start_embeddings(model: BertForMaskedLM, tokenizer: Tokenizer, held_out: set[str], seed: int) -> None:
    """Replace the random word and position embeddings by counted and computed ones."""
    rng = Rng(seed)
    texts = [pretraining_text(rng, held_out) for _ in range(COUNTED_TEXTS)]
    rows = [encoding.ids[1:-1] for encoding in tokenizer.encode_batch(texts)]
    words = model.bert.embeddings.word_embeddings.weight
    positions = model.bert.embeddings.position_embeddings.weight
    with torch.no_grad():
        words.mul_(0.3).add_(word_vectors(rows, *words.shape))
        positions.copy_(0.06 * _wave_positions(*positions.shape))


def _batches(tokenizer: Tokenizer, held_out: set[str], run: Pretraining) -> Iterator[Tensor]:
    """Endless padded batches of fresh text; 16 batches at a time are sorted by length to save padding."""
    rng = Rng(run.seed)
    while True:
        texts = [pretraining_text(rng, held_out) for _ in range(16 * run.batch_size)]
        rows = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
        rows = [row if len(row) <= MAX_LENGTH else [*row[: MAX_LENGTH - 1], SEP] for row in rows]
        rows.sort(key=len)
        starts = list(range(0, len(rows), run.batch_size))
        rng.shuffle(starts)
        for start in starts:
            batch = rows[start : start + run.batch_size]
            width = max(map(len, batch))
            yield torch.tensor([row + [PAD] * (width - len(row)) for row in batch])


def _hide(ids: Tensor, share: float, vocabulary_size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """BERT's corruption: of the chosen pieces 80 % become [MASK], 10 % a random piece, 10 % stay."""
    maskable = (ids != PAD) & (ids != CLS) & (ids != SEP)
    chosen = maskable & (torch.rand(ids.shape, generator=generator) < share)
    kind = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(len(SPECIAL_TOKENS), vocabulary_size, ids.shape, generator=generator)
    corrupted = torch.where(chosen & (kind < 0.8), MASK, ids)
    return torch.where(chosen & (kind >= 0.9), noise, corrupted), chosen


def _loss(model: BertForMaskedLM, ids: Tensor, corrupted: Tensor, chosen: Tensor) -> Tensor:
    """Cross-entropy of the chosen pieces; the vocabulary projection runs on those positions only."""
    hidden = model.bert(input_ids=corrupted, attention_mask=(ids != PAD).long()).last_hidden_state
    scores: Tensor = model.cls(hidden[chosen])
    return cross_entropy(scores, ids[chosen])


def _rate(step: int, run: Pretraining) -> float:
    """Linear warm-up, then linear decay to zero."""
    return min((step + 1) / run.warmup, (run.steps - step) / (run.steps - run.warmup))


def pretrain(tokenizer: Tokenizer, held_out: set[str], run: Pretraining) -> BertForMaskedLM:
    """Train a fresh model on text that contains none of the ``held_out`` reviews."""
    torch.manual_seed(run.seed)
    generator = torch.Generator().manual_seed(run.seed)
    model = small_bert(tokenizer.get_vocab_size())
    model.train()
    start_embeddings(model, tokenizer, held_out, run.seed + 1)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": run.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=run.learning_rate, betas=(0.9, 0.98), eps=1e-6)
    started, total = time.perf_counter(), 0.0
    for step, ids in zip(range(run.steps), _batches(tokenizer, held_out, run), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = run.learning_rate * _rate(step, run)
        loss = _loss(model, ids, *_hide(ids, run.mask_share, tokenizer.get_vocab_size(), generator))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        if (step + 1) % 200 == 0:
            seconds = time.perf_counter() - started
            print(f"  step {step + 1}/{run.steps}: loss {total / 200:.3f}, {seconds:.0f} s", flush=True)
            total = 0.0
    model.eval()  # type: ignore[no-untyped-call]  # transformers has no type for it
    return model
