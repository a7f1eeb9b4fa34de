"""Build of the demonstration model and data set from this package alone: ``python -m demo.make.build``."""

import argparse
import gzip
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import BertForMaskedLM

from demo.make.corpus import labelled_reviews, pretraining_text
from demo.make.pretrain import MAX_LENGTH, Pretraining, pretrain
from demo.make.rng import Rng
from demo.make.tokenizer import save_tokenizer, train_tokenizer

HERE = Path(__file__).parents[1]
TRAIN_ROWS, VALIDATION_ROWS = 6000, 1000
DATA_SEED, TOKENIZER_SEED = 11, 12
TOKENIZER_TEXTS = 40_000

MODEL_CARD = """# espalier-demo-mlm

A four-layer BERT of width 128 (1.1 million parameters, stored in float16) with a WordPiece vocabulary of
{pieces} entries. It was pretrained as a masked language model, and as nothing else, on English-like text
from the generative grammar in `demo/make/corpus.py`. It knows that language only; it is here so that the
demonstration and the tests need no download.

Rebuild it, together with `demo/datasets/reviews`, with `python -m demo.make.build` ({steps} steps, seed {seed}).
"""


def build_data(folder: Path) -> set[str]:
    """Write the two splits and return the validation sentences, which the pretraining text must avoid."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, taken = Rng(DATA_SEED), set[str]()
    held_out: set[str] = set()
    for split, count in (("validation", VALIDATION_ROWS), ("train", TRAIN_ROWS)):
        rows = labelled_reviews(rng, count, taken)
        if split == "validation":
            held_out = {sentence for sentence, _ in rows}
        lines = [json.dumps({"sentence": sentence, "label": label, "idx": index}) for index, (sentence, label) in enumerate(rows)]
        # A fixed time stamp, so that the same rows give the same bytes.
        packed = gzip.compress("".join(f"{line}\n" for line in lines).encode(), 9, mtime=0)
        (folder / f"{split}.jsonl.gz").write_bytes(packed)
    return held_out


def build_tokenizer(held_out: set[str]) -> Tokenizer:
    rng = Rng(TOKENIZER_SEED)
    return train_tokenizer(pretraining_text(rng, held_out) for _ in range(TOKENIZER_TEXTS))


def save_model(model: BertForMaskedLM, folder: Path) -> None:
    """Store in float16, and leave out the decoder weight: it is the word embedding."""
    model.config.architectures = ["BertForMaskedLM"]
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    tied = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
    tensors = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name not in tied and tensor.is_floating_point()
    }
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE, help="where models/ and datasets/ are written")
    parser.add_argument("--steps", type=int, default=Pretraining.steps, help="pretraining steps")
    parser.add_argument("--threads", type=int, default=2, help="threads; the last digits depend on it")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    print("data set", flush=True)
    held_out = build_data(arguments.output / "datasets" / "reviews")
    print("tokenizer", flush=True)
    tokenizer = build_tokenizer(held_out)
    run = Pretraining(steps=arguments.steps)
    print("language model", flush=True)
    model = pretrain(tokenizer, held_out, run)
    folder = arguments.output / "models" / "espalier-demo-mlm"
    folder.mkdir(parents=True, exist_ok=True)
    save_model(model, folder)
    save_tokenizer(tokenizer, folder, MAX_LENGTH)
    card = MODEL_CARD.format(pieces=tokenizer.get_vocab_size(), steps=run.steps, seed=run.seed)
    (folder / "README.md").write_text(card, encoding="utf-8")
    print(f"written to {arguments.output}", flush=True)


if __name__ == "__main__":
    main()
