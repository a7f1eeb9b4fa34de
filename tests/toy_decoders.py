"""Toy decoders: configurations of two layers for every decoder-only model type, built by :mod:`tests.toy_architectures`."""

from collections.abc import Callable
from typing import Any

from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.toy_models import HIDDEN, INTERMEDIATE, LAYERS, POSITIONS

SPREAD = 0.15
COMMON: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": INTERMEDIATE,
    "initializer_range": SPREAD,
}


def _sizes(vocabulary: int, **more: Any) -> dict[str, Any]:
    return {"vocab_size": vocabulary, "max_position_embeddings": POSITIONS, "bos_token_id": 0, "eos_token_id": 2, **COMMON, **more}


def _grouped(vocabulary: int, **more: Any) -> dict[str, Any]:
    """Both heads share one key and value."""
    return _sizes(vocabulary, num_key_value_heads=1, **more)


def _llama(vocabulary: int, dropout: float) -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(attention_dropout=dropout, tie_word_embeddings=False, **_grouped(vocabulary)))


def _mistral(vocabulary: int, dropout: float) -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(attention_dropout=dropout, sliding_window=8, **_grouped(vocabulary)))


def _qwen2(vocabulary: int, dropout: float) -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(attention_dropout=dropout, tie_word_embeddings=True, **_grouped(vocabulary)))


def _qwen3(vocabulary: int, dropout: float) -> PreTrainedModel:
    sizes = _grouped(vocabulary, head_dim=HIDDEN // 2)
    return Qwen3ForCausalLM(Qwen3Config(attention_dropout=dropout, tie_word_embeddings=True, **sizes))


def _gemma(vocabulary: int, dropout: float) -> PreTrainedModel:
    sizes = _grouped(vocabulary, head_dim=HIDDEN // 2, pad_token_id=0)
    return GemmaForCausalLM(GemmaConfig(attention_dropout=dropout, **sizes))


def _gemma2(vocabulary: int, dropout: float) -> PreTrainedModel:
    """Caps on attention scores and logits low enough to be felt."""
    sizes = _grouped(vocabulary, head_dim=HIDDEN // 2, pad_token_id=0, sliding_window=8, query_pre_attn_scalar=HIDDEN // 2)
    caps: dict[str, Any] = {"final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0}
    return Gemma2ForCausalLM(Gemma2Config(attention_dropout=dropout, **sizes, **caps))


def _gpt2(vocabulary: int, dropout: float) -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary,
            n_positions=POSITIONS,
            n_embd=HIDDEN,
            n_layer=LAYERS,
            n_head=2,
            n_inner=INTERMEDIATE,
            initializer_range=SPREAD,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            bos_token_id=2,
            eos_token_id=2,
        )
    )


def _gpt_neox(vocabulary: int, dropout: float) -> PreTrainedModel:
    sizes = _sizes(vocabulary, attention_dropout=dropout, hidden_dropout=dropout)
    return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes))


def _phi(vocabulary: int, dropout: float) -> PreTrainedModel:
    sizes = _sizes(vocabulary, attention_dropout=dropout, resid_pdrop=dropout, embd_pdrop=dropout)
    return PhiForCausalLM(PhiConfig(**sizes))


BUILD: dict[str, Callable[[int, float], PreTrainedModel]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "mistral": _mistral,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "gpt2": _gpt2,
    "gpt_neox": _gpt_neox,
    "phi": _phi,
}
