"""File of predictions: one JSON object per row of a split, in its order. Called at the end of a training and by evaluations."""

import json
from collections.abc import Sequence
from pathlib import Path

from pruning.evaluation.evaluate import Evaluation, Split
from pruning.spec.custom_task import TaskKind

FILE = "predictions.jsonl"
MEDIA_TYPE = "application/jsonl"


def write_predictions(path: Path, kind: TaskKind, splits: Sequence[Split], evaluations: Sequence[Evaluation]) -> None:
    """Write ``row``, ``label``, ``prediction`` and, except for spans and tags, ``logits``; of several splits ``split`` as well.

    ``row`` counts from 0 in the split as it is given: of rows held out, in the training split.
    """
    with path.open("w", encoding="utf-8") as lines:
        for split, found in zip(splits, evaluations, strict=True):
            for i, (label, prediction) in enumerate(zip(split.rows.labels, found.predictions, strict=True)):
                row = {"row": split.rows.number_of(i) - 1, "label": label, "prediction": prediction}
                if kind not in ("span", "token-classification"):
                    row["logits"] = [float(value) for value in found.logits[i]]
                if len(splits) > 1:
                    row["split"] = split.rows.split
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")
