"""Error codes below the level of responses: faults of single fields, and failures of jobs, exports and programs.

``api.errors.catalog`` has the codes of responses; a code may be in both with different remedies. Codes of pydantic
(``less_than``, ``missing``, …), which describe single fields, are not repeated here.
"""

from typing import Literal, NamedTuple

from pruning.errors import PermanentError


class Entry(NamedTuple):
    """An error code: status, responsible party, remedy and exception classes."""

    status: int | None
    """HTTP status of the response with this ``code``; None: no response has it."""
    responsible: Literal["client", "operator", "none"]
    """Who must act: the client changes the request, the operator changes the service; none: the same request succeeds later."""
    remedy: str
    exception: type[Exception] | None = None
    """The class whose exceptions become a response with this code. All codes of one class have the same status."""


FAULTS: dict[str, Entry] = {
    "class_weights_invalid": Entry(None, "client", "Give `balanced`, or a list of one number per class."),
    "file_unreadable": Entry(None, "client", "Send the whole file, in the form that its name or type says."),
    "form_invalid": Entry(None, "client", "Fix the field of the form."),
    "method_unavailable": Entry(None, "operator", "Fix or remove the package of the method that the message names."),
    "metadata_filter": Entry(None, "client", "Write `metadata[key]=value`."),
    "model_name": Entry(None, "client", "Give the name of a model: no path, no address."),
    "not_distinct": Entry(None, "client", "Name each value once."),
    "nul_character": Entry(None, "client", "Remove NUL characters from the text."),
    "preset_conflict": Entry(None, "client", "Leave the field out, or take another preset."),
    "rows_invalid": Entry(None, "client", "Fix the row with the number `row`."),
    "rows_missing": Entry(None, "client", "Send a file with rows."),
    "start_invalid": Entry(None, "client", "Give the id of a job that has succeeded, `job_…`, or of an uploaded mask, `msk_…`."),
    "spec_conflict": Entry(None, "client", "Change one of the fields that do not go together."),
    "spec_too_large": Entry(None, "client", "Give fewer or shorter labels."),
    "sweep_axis": Entry(None, "client", "Give the list next to `base` instead."),
    "unknown_task": Entry(None, "client", "Name a task of `GET /v1/tasks`, or describe a custom one."),
    "webhook_secret": Entry(None, "client", "Give `whsec_` and 24 to 64 random bytes in base64."),
}
"""``code`` in the ``errors`` of an ``invalid_request`` or ``dataset_invalid``, in addition to those of pydantic."""

FAILURES: dict[str, Entry] = {
    "artifact_not_found": Entry(None, "client", "Prune again: the mask that was to be exported was deleted."),
    "base_mismatch": Entry(422, "client", "Give exactly the base model that the mask was trained for.", PermanentError),
    "column_missing": Entry(422, "client", "Name columns that the data set has.", PermanentError),
    "config_missing": Entry(None, "client", "Name one of the configurations that the message lists, as `task.config`."),
    "dataset_gated": Entry(None, "client", "Accept the data set's terms on the hub and set a hub token."),
    "dataset_not_found": Entry(
        422, "client", "Check the spelling, upload the data set, or set a hub token if it is private.", PermanentError
    ),
    "dataset_unsupported": Entry(None, "client", "Take a data set with files in Parquet, JSONL or CSV, or upload its rows."),
    "device_unsupported": Entry(None, "client", "Leave the export out, or run the job on a GPU that can."),
    "devices_missing": Entry(None, "client", "Lower `devices`, or give the worker more devices."),
    "diverged": Entry(None, "client", "Lower `learning_rate` or `regularization`."),
    "export_failed": Entry(None, "operator", "Report it, with the message; the mask is not affected."),
    "export_invalid": Entry(None, "client", "Download the export again."),
    "export_packages_missing": Entry(None, "operator", "Install `espalier-pruning[onnx]` where jobs run."),
    "export_pointless": Entry(None, "client", "Prune further, or take another export: this one would be slower."),
    "export_unsupported": Entry(422, "client", "Leave the export out: the model or pattern does not allow it.", PermanentError),
    "export_wrong": Entry(None, "operator", "Report it: the export does not compute what the masked model does."),
    "hub_refused": Entry(None, "client", "Check the page of the model or data set on the hub, or choose another."),
    "hub_token_refused": Entry(
        None, "client", "Set a new one with `PUT /v1/secrets/hub_token`, or delete it if what you name is public."
    ),
    "hub_unreachable": Entry(None, "none", "It is tried again; or put the files under the local folders."),
    "insufficient_storage": Entry(None, "operator", "Give the worker a larger disk."),
    "label_word_unknown": Entry(
        422, "client", "Take label words that are one token of the model, or set label_word_pieces to mean.", PermanentError
    ),
    "label_words_capped": Entry(422, "client", "Take one label word of one token for each class.", PermanentError),
    "pooling_unsupported": Entry(422, "client", "Leave pooling out: the model does not allow it.", PermanentError),
    "template_invalid": Entry(422, "client", "Use words in the template that the model has tokens for.", PermanentError),
    "template_too_long": Entry(422, "client", "Shorten the template or raise max_length.", PermanentError),
    "template_unsupported": Entry(422, "client", "End the template with {mask} for a decoder.", PermanentError),
    "label_words_collide": Entry(422, "client", "Take label words that are different tokens.", PermanentError),
    "labels_mismatch": Entry(422, "client", "Make labels, label words and data agree.", PermanentError),
    "mask_form": Entry(None, "client", "Let the file's name end in a form of masks."),
    "mask_invalid": Entry(422, "client", "Download the mask again.", PermanentError),
    "max_duration_exceeded": Entry(None, "client", "Raise `max_duration`, or ask for fewer steps."),
    "method_unavailable": Entry(None, "operator", "Fix or install the package of the method, where jobs run."),
    "model_adapter": Entry(422, "client", "Merge the adapter into its base, and use the result.", PermanentError),
    "model_config_invalid": Entry(422, "client", "Take a folder with a config.json of a known model type.", PermanentError),
    "model_config_missing": Entry(422, "client", "Take a folder with a config.json.", PermanentError),
    "model_files_invalid": Entry(422, "client", "Send the files of a model folder, or the folder as one zip.", PermanentError),
    "model_gated": Entry(None, "client", "Accept the model's terms on the hub and set a hub token."),
    "model_head_missing": Entry(422, "client", "Take a checkpoint with the head that `head` names.", PermanentError),
    "model_invalid": Entry(422, "client", "Take a checkpoint that transformers can load.", PermanentError),
    "model_not_found": Entry(
        422,
        "client",
        "Check the spelling, put the model under the local folder, or set a hub token if it is private.",
        PermanentError,
    ),
    "model_nothing_to_prune": Entry(None, "client", "Take an encoder such as BERT, RoBERTa, DistilBERT or ELECTRA."),
    "model_quantized": Entry(422, "client", "Take the original model, or store it dequantized.", PermanentError),
    "model_too_large": Entry(None, "client", "Take a smaller model, or have ESPALIER_HUB_MODEL_BYTES raised."),
    "model_type_unsupported": Entry(422, "client", "Take a model type of docs/reference/spec.md.", PermanentError),
    "model_weights_corrupt": Entry(422, "client", "Download the model again: its weights are damaged.", PermanentError),
    "model_weights_damaged": Entry(
        422, "client", "Store the checkpoint again: its values are not trained weights.", PermanentError
    ),
    "model_weights_incomplete": Entry(422, "client", "Take a checkpoint that has all weights.", PermanentError),
    "model_weights_missing": Entry(422, "client", "Take a checkpoint with weights in safetensors format.", PermanentError),
    "out_of_memory": Entry(None, "client", "It is tried again; lower `batch_size` or `max_length` if it persists."),
    "pattern_unfit": Entry(None, "client", "Use `pattern` unstructured."),
    "peer_lost": Entry(None, "none", "It is tried again; the other process's error is the reason."),
    "precision_unavailable": Entry(None, "client", "Set `precision` to fp32, or run on another device."),
    "prediction_failed": Entry(None, "operator", "Report it, with the message; in HTTP it is predictions_unavailable."),
    "quota_exceeded": Entry(None, "client", "Delete jobs or data sets that are not needed, or have the limit raised."),
    "ranks_differ": Entry(None, "operator", "Set `devices` to 1, or give the worker devices of one kind."),
    "revision_not_found": Entry(None, "client", "Give a branch, tag or commit that exists."),
    "rows_invalid": Entry(422, "client", "Fix the row that the message names.", PermanentError),
    "rows_missing": Entry(None, "client", "Give a split with rows."),
    "schedule_too_long": Entry(None, "client", "Lower `epochs`, raise `batch_size`, or give `max_steps`."),
    "schedule_too_short": Entry(None, "client", "Raise `epochs` or `max_steps`, or lower `batch_size`."),
    "secrets_unavailable": Entry(None, "operator", "Give workers the secret key that the API has."),
    "sparsity_by_ambiguous": Entry(
        422, "client", "Name the matrix by its full path in `sparsity_by`, or narrow one of the patterns.", PermanentError
    ),
    "sparsity_by_unmatched": Entry(
        422, "client", "Take patterns of paths that the model has; the message names similar ones.", PermanentError
    ),
    "sparsity_by_unreachable": Entry(
        422, "client", "Change `sparsity` as the message says, or the sparsities of `sparsity_by`.", PermanentError
    ),
    "spec_unreadable": Entry(None, "client", "Check the path of the spec."),
    "split_missing": Entry(422, "client", "Give train and validation splits, or name the existing ones.", PermanentError),
    "stopped": Entry(None, "client", "Start it again: it continues from its checkpoint."),
    "start_invalid": Entry(422, "client", "Give the id of a job that has succeeded: `job_…`.", PermanentError),
    "start_missing": Entry(
        422, "client", "Start from another job, or upload the mask; outside a service give it by `--init-mask`.", PermanentError
    ),
    "storage_unavailable": Entry(None, "operator", "It is tried again; check the object storage and its credentials."),
    "teacher_tokenizer": Entry(None, "client", "Take a teacher with the model's tokenizer."),
    "teacher_too_short": Entry(None, "client", "Lower `max_length`, or take another teacher."),
    "tier_exceeded": Entry(None, "client", "Leave `tier` out and set `train_biases` or `train_readout`, or take a wider model."),
    "token_unreadable": Entry(None, "operator", "Check the file that holds the hub token."),
    "tokenizer_invalid": Entry(422, "client", "Take a folder with a tokenizer that can be read.", PermanentError),
    "tokenizer_mismatch": Entry(422, "client", "Store the tokenizer that belongs to the weights.", PermanentError),
    "tokenizer_missing": Entry(422, "client", "Take a folder with a tokenizer.", PermanentError),
    "too_many_bad_rows": Entry(
        422, "client", "Fix the rows that the message names, or the task; or raise `bad_rows_limit`.", PermanentError
    ),
    "trainer_bug": Entry(None, "operator", "Report it, with the message."),
    "trainer_crashed": Entry(None, "none", "It is tried again; the message has the last lines of the trainer's stderr."),
    "trainer_killed": Entry(None, "none", "It is tried again; most often memory ran out: lower `batch_size` or `max_length`."),
    "trainer_stalled": Entry(None, "none", "It is tried again; ESPALIER_STALL_SECONDS is the longest time without output."),
    "trainer_stopped": Entry(None, "none", "It is tried again."),
    "weights_invalid": Entry(None, "client", "Download mask and weights from the same job."),
    "weights_missing": Entry(None, "client", "Download `weights.safetensors` of the job into the mask's folder."),
    "window_too_short": Entry(None, "client", "Raise `max_length` or lower `stride`; of a prediction (422): shorten the question."),
    "worker_environment": Entry(None, "operator", "Read the worker's log: it could not start the trainer."),
    "worker_lost": Entry(None, "none", "It is tried again, up to ESPALIER_MAX_ATTEMPTS."),
}
"""``error.code`` of a job, of an export or of a program; with a status also the ``code`` of a refusal at submission."""


def failure_remedy(code: str) -> str:
    """Remedy for a job that failed with this ``code``; empty for a code that is not in the catalog."""
    return FAILURES[code].remedy if code in FAILURES else ""
