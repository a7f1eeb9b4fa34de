"""Matrices that are masked in each layer of every toy architecture, with their shapes as the modules name them."""

from tests import toy_models

H, F = toy_models.HIDDEN, toy_models.INTERMEDIATE
N = H // 2
"""Width of MobileBERT's bottlenecks."""
SQUARE, UP, DOWN, HALF = (H, H), (F, H), (H, F), (H // 2, H)
SELF = {f"attention.self.{name}": SQUARE for name in ("query", "key", "value")}
BERT = {**SELF, "attention.output.dense": SQUARE, "intermediate.dense": UP, "output.dense": DOWN}
DEBERTA = {
    **{f"attention.self.{name}_proj": SQUARE for name in ("query", "key", "value")},
    "attention.output.dense": SQUARE,
    "intermediate.dense": UP,
    "output.dense": DOWN,
}
DECODER = {
    "self_attn.q_proj": SQUARE,
    "self_attn.k_proj": HALF,
    "self_attn.v_proj": HALF,
    "self_attn.o_proj": SQUARE,
    "mlp.gate_proj": UP,
    "mlp.up_proj": UP,
    "mlp.down_proj": DOWN,
}
MASKED: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    "bert": ("bert.encoder.layer", BERT),
    "roberta": ("roberta.encoder.layer", BERT),
    "electra": ("electra.encoder.layer", BERT),
    "minilm": ("bert.encoder.layer", BERT),
    "distilbert": (
        "distilbert.transformer.layer",
        {**{f"attention.{name}_lin": SQUARE for name in ("q", "k", "v", "out")}, "ffn.lin1": UP, "ffn.lin2": DOWN},
    ),
    "albert": (
        "albert.encoder.albert_layer_groups.0.albert_layers",
        {**{f"attention.{name}": SQUARE for name in ("query", "key", "value", "dense")}, "ffn": UP, "ffn_output": DOWN},
    ),
    "deberta-v2": (
        "deberta.encoder.layer",
        {**DEBERTA, "attention.self.pos_key_proj": SQUARE, "attention.self.pos_query_proj": SQUARE},
    ),
    "deberta-v3": ("deberta.encoder.layer", DEBERTA),
    "modernbert": ("model.layers", {"attn.Wqkv": (3 * H, H), "attn.Wo": SQUARE, "mlp.Wi": (2 * F, H), "mlp.Wo": DOWN}),
    "mpnet": (
        "mpnet.encoder.layer",
        {**{f"attention.attn.{name}": SQUARE for name in ("q", "k", "v", "o")}, "intermediate.dense": UP, "output.dense": DOWN},
    ),
    "camembert": ("roberta.encoder.layer", BERT),
    "xlm-roberta": ("roberta.encoder.layer", BERT),
    "mobilebert": (
        "mobilebert.encoder.layer",
        {
            "attention.self.query": (N, N),
            "attention.self.key": (N, N),
            "attention.self.value": (N, H),
            "attention.output.dense": (N, N),
            "intermediate.dense": (F, N),
            "output.dense": (N, F),
            "output.bottleneck.dense": (H, N),
            "bottleneck.input.dense": (N, H),
            "bottleneck.attention.dense": (N, H),
            "ffn.0.intermediate.dense": (F, N),
            "ffn.0.output.dense": (N, F),
        },
    ),
    **dict.fromkeys(("llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2"), ("model.layers", DECODER)),
    "gpt2": ("transformer.h", {"attn.c_attn": (3 * H, H), "attn.c_proj": SQUARE, "mlp.c_fc": UP, "mlp.c_proj": DOWN}),
    "gpt_neox": (
        "gpt_neox.layers",
        {"attention.query_key_value": (3 * H, H), "attention.dense": SQUARE, "mlp.dense_h_to_4h": UP, "mlp.dense_4h_to_h": DOWN},
    ),
    "phi": (
        "model.layers",
        {**{f"self_attn.{name}": SQUARE for name in ("q_proj", "k_proj", "v_proj", "dense")}, "mlp.fc1": UP, "mlp.fc2": DOWN},
    ),
}
