"""One input of the fuzz test: made from seed and number, put through admission and the trainer's program.

Called by :mod:`tests.fuzz.__main__` in a forked child.
"""

import io
import json
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from api.schemas.job_request import JobRequest
from api.submission import admission
from api.uploads.isolation import columns_of
from api.uploads.normalize import SplitFile, normalize_files
from pruning.cli.main import main
from pruning.data.column_checks import check_columns
from pruning.data.files.formats import TooLargeError, UnknownFormatError, detect_format
from pruning.events import ExitCode
from pruning.spec.schema import PruningSpec
from service.db.engine import Database
from service.settings import Settings
from tests import toy_datasets, toy_models
from tests.fuzz.dataset_mutations import ENDINGS, damage, encode, mutate_rows
from tests.fuzz.judgement import Result, judge_exit, judge_refusal, signature
from tests.fuzz.model_mutations import mutate_model, mutate_safetensors

KINDS = ("model",) * 8 + ("local data",) * 4 + ("upload",) * 5 + ("hub model",) * 2 + ("hub data",) + ("mask",) * 3
SPEC = {"model": "toy", "method": "random", "sparsity": 0.5, "batch_size": 4, "max_length": 32, "validation_rows": 6}
TRAINED = {"method": "smp-s", "max_steps": 2, "regularization": 20}
CUSTOM = {"dataset": "toy", "text": ["sentence"], "labels": ["terrible", "great"]}
MAX_UPLOAD_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Toys:
    """What is mutated: a folder for each model shape, rows, and masks; made once."""

    folder: Path
    seed: int

    def make(self) -> None:
        """Make models and data sets."""
        for shape in toy_models.SHAPES:
            toy_models.make_model(self.folder / "models" / shape, shape)
        for split, seed in (("train", 1), ("validation", 2)):
            rows = toy_datasets.opinions(12, seed)
            (self.folder / f"sst2.{split}.json").write_text(json.dumps(rows))
            names = [{"sentence": row["sentence"], "label": CUSTOM["labels"][row["label"]]} for row in rows]
            (self.folder / f"toy.{split}.json").write_text(json.dumps(names))
            (self.folder / f"squad.{split}.json").write_text(json.dumps(toy_datasets.span_rows(12, seed, longest=8)))

    def rows(self, task: str, split: str) -> list[Any]:
        """Rows of ``sst2``, ``squad`` or the custom task ``toy``."""
        found: list[Any] = json.loads((self.folder / f"{task}.{split}.json").read_text())
        return found


def run_case(toys: Toys, number: int, folder: Path) -> None:
    """Make input ``number`` in ``folder``, run it, and leave ``result.json`` there."""
    folder.mkdir(parents=True)
    source = random.Random(f"{toys.seed}:{number}")
    result = Result(number, source.choice(KINDS) if number else "model")
    _redirect(folder)
    real_sleep = time.sleep
    time.sleep = lambda seconds: real_sleep(min(float(seconds), 0.01))  # back-off between attempts
    try:
        _Case(toys, source, folder, result).run()
    except BaseException as fault:  # noqa: BLE001 - reported as the failure that it is
        result.failure, result.detail = (
            signature(f"exception {type(fault).__name__}", traceback.format_exc()),
            traceback.format_exc(),
        )
    (folder / "result.json").write_text(json.dumps(asdict(result)))


class _Case:
    def __init__(self, toys: Toys, source: random.Random, folder: Path, result: Result) -> None:
        self.toys, self.source, self.folder, self.result = toys, source, folder, result
        self.task: str = source.choice(("sst2", "sst2", "toy", "squad"))
        self.custom = {**CUSTOM}
        shape = source.choice(toy_models.SHAPES)
        self.head = "span" if self.task == "squad" else source.choice(("label-words", "label-words", "classifier"))
        self.trained = source.random() < 0.2
        self.result.what.append(f"{shape}, {self.task}, {self.head}{', trained' if self.trained else ''}")
        shutil.copytree(toys.folder / "models" / shape, self.models / "toy")
        self._write_data(mutated=False)

    @property
    def models(self) -> Path:
        return self.folder / "models"

    @property
    def data(self) -> Path:
        return self.folder / "datasets" / self.task

    def run(self) -> None:
        kind = self.result.kind
        {
            "model": self._model,
            "local data": self._local_data,
            "upload": self._upload,
            "hub model": self._hub_model,
            "hub data": self._hub_data,
            "mask": self._mask,
        }[kind]()

    def _model(self) -> None:
        if self.result.number:
            self._repeat(lambda: mutate_model(self.source, self.models / "toy"))
        accepted = self._admit()
        self._train(accepted=accepted)

    def _local_data(self) -> None:
        shutil.rmtree(self.data)
        self._write_data(mutated=True)
        accepted = self._admit()
        self._train(accepted=accepted)

    def _upload(self) -> None:
        self.task, self.head = "toy", "classifier" if self.head == "span" else self.head
        ending = self.source.choice(ENDINGS)
        files = {}
        for split in ("train", "validation"):
            files[split] = self._split_file(self.folder / "upload", split, ending, mutated=split == "train")
        self.custom = {**CUSTOM, "dataset": f"ds_{0:032x}"}
        accepted = self._admit_upload(files)
        if accepted:
            self._train(accepted=True)

    def _hub_model(self) -> None:
        shutil.rmtree(self.models / "toy")
        name = f"case-{self.result.number}"
        target = self.toys.folder / "hub" / name
        shutil.copytree(self.toys.folder / "models" / self.source.choice(toy_models.SHAPES), target)
        if self.source.random() < 0.3:
            self._repeat(lambda: mutate_model(self.source, target))
        _keep_files(target)
        self._train(accepted=False, model=f"org/{name}")

    def _hub_data(self) -> None:
        self.task, self.head = "toy", "classifier" if self.head == "span" else self.head
        name = f"case-{self.result.number}"
        target = self.toys.folder / "hub" / name
        ending = self.source.choice(ENDINGS)
        for split in ("train", "validation"):
            self._split_file(target, split, ending, mutated=split == "train" and self.source.random() < 0.7)
        _keep_files(target)
        self.custom = {**CUSTOM, "dataset": f"org/{name}"}
        self._train(accepted=False)

    def _mask(self) -> None:
        mask = self.folder / "mask.safetensors"
        spec = json.dumps(self._spec("toy"))
        base = self._program(
            ["train", "--spec", self._write("spec.json", spec), "--work", str(self.folder / "w"), *self._sources()]
        )
        if base != ExitCode.OK:
            raise AssertionError("the mask to be mutated was not made")
        (self.folder / "stdout").write_bytes(b"")
        shutil.copytree(self.folder / "w" / "artifacts", self.folder, dirs_exist_ok=True)
        target = self.source.choice(("mask", "mask", "mask", "weights", "model", "data"))
        if target == "model":
            self._repeat(lambda: mutate_model(self.source, self.models / "toy"))
        elif target == "data":
            shutil.rmtree(self.data)
            self._write_data(mutated=True)
        else:
            file = mask if target == "mask" or not (found := self.folder / "weights.safetensors").is_file() else found
            self._repeat(lambda: f"{file.name}: {mutate_safetensors(self.source, file)}")
        command = ["evaluate"]
        if self.source.random() < 0.3:
            command = ["export", "--to", self.source.choice(("stock", "compact")), "--out", str(self.folder / "out")]
        self.result.what.append(command[0])
        code = self._program([*command, "--mask", str(mask), *self._sources()])
        judge_exit(self.result, self.folder, code, accepted=False)

    def _repeat(self, mutate: Callable[[], str]) -> None:
        for _ in range(self.source.choice((1, 1, 1, 2))):
            self.result.what.append(mutate())

    def _write_data(self, *, mutated: bool) -> None:
        ending = self.source.choice(("jsonl", "jsonl", "jsonl.gz", "csv", "parquet")) if mutated else "jsonl"
        for split in ("train", "validation"):
            self._split_file(self.data, split, ending, mutated=mutated and self.source.random() < 0.7)

    def _split_file(self, folder: Path, split: str, ending: str, *, mutated: bool) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        rows, file = self.toys.rows(self.task, split), folder / f"{split}.{ending}"
        if mutated and self.source.random() < 0.75:
            self._repeat(lambda: f"{file.name}: {mutate_rows(self.source, rows)}")
        file.write_bytes(encode(self.source, rows, ending))
        if mutated and self.source.random() < 0.3:
            self.result.what.append(damage(self.source, file))
        return file

    def _spec(self, model: str) -> dict[str, Any]:
        return {
            **SPEC,
            "model": model,
            "task": self.custom if self.task == "toy" else self.task,
            "head": self.head,
            **({"stride": 8} if self.task == "squad" else {}),
            **(TRAINED if self.trained else {}),
        }

    def _sources(self) -> list[str]:
        given = ["--models-dir", str(self.models), "--datasets-dir", str(self.folder / "datasets")]
        return given if self.result.kind.startswith("hub") else [*given, "--no-hub"]

    def _admit(self) -> bool:
        settings = Settings(data_dir=self.folder, models_dir=self.models, datasets_dir=self.folder / "datasets", hub_enabled=False)
        database = Database(settings.database_url)  # of a job on a local folder nothing is looked up in it
        try:
            admission.check_job(JobRequest.model_validate(self._spec("toy")), settings, database, "fuzz")
        except Exception as fault:  # noqa: BLE001 - judged as the API does
            judge_refusal(self.result, fault)
            return False
        finally:
            database.engine.dispose()
        return True

    def _admit_upload(self, files: dict[str, Path]) -> bool:
        target = self.folder / "work" / "uploads" / str(self.custom["dataset"])
        target.mkdir(parents=True)
        opened: dict[str, BinaryIO] = {}
        try:
            for split, file in files.items():
                opened[split] = io.BytesIO(file.read_bytes() if file.is_file() else b"")
            outputs: dict[str, Any] = {split: (target / f"{split}.jsonl.gz").open("w+b") for split in files}
            uploads = {split: SplitFile(detect_format(files[split].name), file) for split, file in opened.items()}
            answer = normalize_files(uploads, outputs, MAX_UPLOAD_BYTES)
            for output in outputs.values():
                output.close()
        except (TooLargeError, UnknownFormatError) as refusal:
            self.result.outcome = f"refused {type(refusal).__name__}"
            return False
        json.dumps(answer).encode()
        if "faults" in answer:
            self.result.outcome = f"refused {answer['faults'][0]['code']}"
            return False
        task: Any = PruningSpec.model_validate(self._spec("toy")).task
        try:
            check_columns(task, {name: columns_of(split) for name, split in answer["splits"].items()})
        except Exception as fault:  # noqa: BLE001 - judged as the API does
            judge_refusal(self.result, fault)
            return False
        return True

    def _train(self, *, accepted: bool, model: str = "toy") -> None:
        spec = self._write("spec.json", json.dumps(self._spec(model)))
        code = self._program(["train", "--spec", spec, "--work", str(self.folder / "work"), *self._sources()])
        judge_exit(self.result, self.folder, code, accepted=accepted)

    def _write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def _program(self, arguments: list[str]) -> int:
        sys.argv = ["pruning", *arguments]
        kept = os.dup(1)
        try:
            return int(main())
        finally:
            os.dup2(kept, 1)


def _redirect(folder: Path) -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False, buffering=1)


def _keep_files(folder: Path) -> None:
    """A hub has files only."""
    for entry in folder.iterdir():
        if entry.is_symlink():
            entry.unlink()
        elif entry.is_dir():
            shutil.rmtree(entry)
