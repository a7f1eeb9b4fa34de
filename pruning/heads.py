"""The frozen label-word head: class logits from the model's own masked-language-model head, no new parameters.

The hidden state at the mask token (or at position 0, ``[CLS]`` or ``<s>``, where a row has none) goes through the whole
MLM head; the logit of a class is the column of its label word. No architecture is named: the output embedding is cut down
to the rows of the label words, and the encoder's output to that one position, so the head's work is a few rows.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pruning.errors import Permanent


def word_ids(tokenizer: Any, words: Sequence[str]) -> list[int]:
    """Token id of each label word, encoded with a leading space.

    Raises Permanent if a word is not exactly one known token of this tokenizer.
    """
    ids = []
    for word in words:
        pieces = tokenizer.encode(f" {word}", add_special_tokens=False)
        if len(pieces) != 1 or pieces[0] == tokenizer.unk_token_id:
            shown = tokenizer.convert_ids_to_tokens(pieces)
            raise Permanent(
                f"label word {word!r} is {len(pieces)} tokens ({' '.join(shown)}) for this model's tokenizer, "
                "it must be one known token; choose another word",
                code="label_word_unknown", param="label_words",
            )  # fmt: skip
        ids.append(int(pieces[0]))
    return ids


class LabelWordHead(nn.Module):
    """A masked language model turned classifier, regressor (one label word) or span finder (two: start and end).

    ``forward`` takes ``input_ids`` and ``attention_mask`` [B, S] (and ``token_type_ids`` where the model has them) and
    returns logits [B, C] in the order of ``label_ids``, or [B, S, C] with ``every_position``. The given model is changed in
    place.
    """

    def __init__(
        self, model: nn.Module, label_ids: Sequence[int], mask_token_id: int | None, *, every_position: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.mask_token_id = mask_token_id
        self._positions = torch.zeros(0, dtype=torch.int64)
        _keep_rows(model, label_ids)
        if not every_position:
            getattr(model, str(model.base_model_prefix)).register_forward_hook(self._keep_position)

    def forward(self, input_ids: torch.Tensor, **inputs: torch.Tensor) -> torch.Tensor:
        self._positions = self._position_of_interest(input_ids)
        logits: torch.Tensor = self.model(input_ids=input_ids, **inputs).logits  # [B, 1, C] or [B, S, C]
        return logits.squeeze(1)

    def _position_of_interest(self, input_ids: torch.Tensor) -> torch.Tensor:
        """[B]: of the mask token in each row, 0 where there is none."""
        if self.mask_token_id is None:
            return torch.zeros_like(input_ids[:, 0])
        return (input_ids == self.mask_token_id).to(torch.uint8).argmax(dim=1)

    def _keep_position(self, _module: nn.Module, _inputs: Any, output: Any) -> Any:
        hidden = output[0]  # [B, S, H]
        rows = torch.arange(hidden.shape[0], device=hidden.device)
        output.last_hidden_state = hidden[rows, self._positions].unsqueeze(1)  # [B, 1, H]
        return output


def _keep_rows(model: Any, label_ids: Sequence[int]) -> None:
    """Cut the output embedding down to the label words' rows and biases, frozen."""
    decoder = model.get_output_embeddings()
    rows = torch.tensor(list(label_ids), device=decoder.weight.device)
    small = nn.Linear(decoder.in_features, len(rows), bias=decoder.bias is not None)
    small.weight = nn.Parameter(decoder.weight.detach()[rows].clone(), requires_grad=False)
    if decoder.bias is not None:
        small.bias = nn.Parameter(decoder.bias.detach()[rows].clone(), requires_grad=False)
    model.set_output_embeddings(small)
