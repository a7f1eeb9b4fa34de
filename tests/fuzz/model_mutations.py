"""Mutated model folders: configuration, tokenizer, safetensors headers and data, shards, and what stands where a file should.

Called by :mod:`tests.fuzz.cases` on a copy of a toy model's folder.
"""

import json
import random
import struct
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_entry, mutate_json, odd_value

WEIGHTS = "model.safetensors"
_JSON_FILES = ("config.json", "config.json", "tokenizer.json", "tokenizer_config.json")
_CONFIG_KEYS = (
    "model_type",
    "hidden_size",
    "dim",
    "num_hidden_layers",
    "n_layers",
    "num_attention_heads",
    "n_heads",
    "intermediate_size",
    "hidden_dim",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "pad_token_id",
    "hidden_act",
    "activation",
    "layer_norm_eps",
    "initializer_range",
    "hidden_dropout_prob",
    "dropout",
    "architectures",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "tie_word_embeddings",
    "torch_dtype",
    "dtype",
    "auto_map",
    "quantization_config",
    "attn_implementation",
    "position_embedding_type",
    "is_decoder",
    "transformers_version",
    "chunk_size_feed_forward",
)
_TOKENIZER_KEYS = (
    "tokenizer_class",
    "model_max_length",
    "pad_token",
    "unk_token",
    "cls_token",
    "mask_token",
    "do_lower_case",
    "auto_map",
    "added_tokens_decoder",
    "additional_special_tokens",
    "padding_side",
    "extra_special_tokens",
    "chat_template",
)


def mutate_model(source: random.Random, folder: Path) -> str:
    """One mutation of a model folder."""
    kind = source.choice(("key", "key", "json", "json", "weights", "weights", "bytes", "entry", "extra"))
    files = sorted(file for file in folder.iterdir() if file.is_file())
    if kind == "entry" or not files:
        return mutate_entry(source, source.choice(files) if files else folder / "config.json")
    if kind == "bytes":
        return _bytes(source, source.choice(files))
    if kind == "weights" and (folder / WEIGHTS).is_file():
        return f"{WEIGHTS}: {mutate_safetensors(source, folder / WEIGHTS)}"
    if kind == "extra":
        return _extra_file(source, folder)
    return _json(source, folder / source.choice(_JSON_FILES), by_key=kind == "key")


def mutate_safetensors(source: random.Random, file: Path) -> str:
    """One mutation of the length, the header or the data of a safetensors file."""
    content = file.read_bytes()
    try:
        (length,) = struct.unpack("<Q", content[:8])
        header: Any = json.loads(content[8 : 8 + length])
    except (ValueError, struct.error):
        return _bytes(source, file)
    data = content[8 + length :]
    kind = source.choice(("length", "header", "header", "tensor", "tensor", "tensor", "cut", "data"))
    what = kind
    if kind == "length":
        other = source.choice((0, 1, length - 1, length + 1, len(content), 2**31, 2**63, 2**64 - 1))
        file.write_bytes(struct.pack("<Q", other) + content[8:])
        return f"header length {other}"
    if kind == "cut":
        data = data[: source.randrange(len(data) + 1)]
    elif kind == "data":
        place = source.randrange(max(1, len(data) - 8))
        data = data[:place] + source.choice((b"\xff\xff\xff\xff", b"\x00\x00\x80\x7f", b"\x00\x00\xc0\x7f")) + data[place + 4 :]
    elif kind == "header" or not isinstance(header, dict) or not header:
        header, what = mutate_json(source, header)
    else:
        what = _mutate_tensor(source, header)
    text = dump_json(header)
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return what


def _mutate_tensor(source: random.Random, header: dict[str, Any]) -> str:
    name = source.choice(sorted(key for key in header if key != "__metadata__") or ["none"])
    entry = header.get(name)
    kind = source.choice(("drop", "rename", "dtype", "shape", "flat"))
    if not isinstance(entry, dict):
        header[name] = odd_value(source)
    elif kind == "drop":
        del header[name]
    elif kind == "rename":
        header[f"other.{name}"] = header.pop(name)
    elif kind == "dtype":
        entry["dtype"] = source.choice(("F16", "BF16", "I32", "U32", "I64", "F64", "BOOL", "F8_E4M3", "Q4", ""))
    elif kind == "shape":
        entry["shape"] = source.choice(([], [0], [1], [-1], [2**62, 4], [*entry.get("shape", []), 1], [1, *entry.get("shape", [])]))
    else:
        shape = entry.get("shape")
        entry["shape"] = shape[::-1] if isinstance(shape, list) else shape
    return f"tensor {name}: {kind} {header.get(name)}"


def _bytes(source: random.Random, file: Path) -> str:
    changed, what = mutate_bytes(source, file.read_bytes())
    file.write_bytes(changed)
    return f"{file.name}: {what}"


def _json(source: random.Random, file: Path, *, by_key: bool) -> str:
    try:
        value: Any = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return mutate_entry(source, file)
    if by_key and isinstance(value, dict) and file.name != "tokenizer.json":
        key = source.choice(_CONFIG_KEYS if file.name == "config.json" else _TOKENIZER_KEYS)
        value[key] = odd_value(source)
        what = f"[{key}] = {ascii(value[key])[:40]}"
    else:
        value, what = mutate_json(source, value)
    file.write_bytes(dump_json(value))
    return f"{file.name}{what}"


def _extra_file(source: random.Random, folder: Path) -> str:
    name = source.choice(
        (
            "model.safetensors.index.json",
            "generation_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.txt",
            "vocab.json",
            "merges.txt",
            "adapter_config.json",
            "chat_template.jinja",
            "README.md",
            "preprocessor_config.json",
        )
    )
    entries: tuple[Any, ...] = (
        {"a": WEIGHTS},
        {},
        {"a": "other.safetensors"},
        {"a": "../x"},
        {"a": 3},
        {"a": None},
        [],
        {"a": "."},
        {"a": "a\x00"},
    )
    shards: Any = source.choice(entries)
    content = source.choice(
        (b"", b"{}", b"[]", b"null", b"\xff", b'"x"', dump_json({"weight_map": shards}), dump_json(odd_value(source)))
    )
    (folder / name).write_bytes(content)
    return f"{name}: {content[:60]!r}"
