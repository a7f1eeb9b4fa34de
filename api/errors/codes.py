"""Every error code that a program may branch on, and what to do about it: ``docs/errors.md`` is made from here.

A test collects the codes that the packages use and compares. Codes of pydantic (``less_than``, ``missing``, …), which say what
is wrong with a single field, are not repeated.
"""

from typing import Literal, NamedTuple

Whose = Literal["user", "service", "outside"]


class Code(NamedTuple):
    """What is to be known of a code."""

    status: int | None
    """Of the answer whose ``code`` it is; None: it stands elsewhere."""
    whose: Whose
    """Who has to change something: who asks, who runs the service, or nobody (it passes)."""
    remedy: str


PROBLEMS: dict[str, Code] = {
    "artifact_changed": Code(412, "user", "Download again from the start, with the new ETag."),
    "artifact_not_found": Code(404, "user", "List the artifacts of the job; retention may have removed it."),
    "body_too_large": Code(
        413, "user", "Send less, or have ESPALIER_MAX_BODY_BYTES or ESPALIER_MAX_DATASET_BYTES raised."
    ),
    "cursor_invalid": Code(422, "user", "Pass `next_cursor` of the page before as `after`, unchanged."),
    "database_outdated": Code(503, "service", "Run `espalier db upgrade`."),
    "database_unavailable": Code(503, "outside", "Try again after Retry-After; if it stays, look at the database."),
    "dataset_in_use": Code(409, "user", "Wait for the jobs that read it, or cancel them."),
    "dataset_invalid": Code(422, "user", "Mend the rows that `errors` names."),
    "dataset_not_found": Code(404, "user", "Upload the data set; others' are not found either."),
    "split_not_found": Code(404, "user", "Ask for one of the splits that the data set has."),
    "idempotency_in_progress": Code(409, "outside", "Send the same request again after Retry-After."),
    "idempotency_key_reused": Code(422, "user", "Take a new Idempotency-Key for each request."),
    "illegal_transition": Code(409, "user", "Look at the job's `status`; it does not allow this any more, or not yet."),
    "insufficient_storage": Code(503, "service", "Try again later; the service needs a larger disk."),
    "internal_error": Code(500, "service", "Tell whoever runs the service the `request_id`: its log has the reason."),
    "invalid_request": Code(422, "user", "Change the fields that `errors` names."),
    "job_not_found": Code(404, "user", "Check the id; jobs of other owners are not found either."),
    "job_not_succeeded": Code(409, "user", "Wait until the job has succeeded."),
    "key_expired": Code(401, "user", "Ask for a new API key."),
    "key_missing": Code(401, "user", "Send `Authorization: Bearer esp_…`."),
    "key_revoked": Code(401, "user", "Ask for a new API key."),
    "key_unknown": Code(401, "user", "Check the key for missing characters; it must be one of this service."),
    "loopback_only": Code(
        403, "service", "Set ESPALIER_REQUIRE_KEYS=true: without keys only its own machine is served."
    ),
    "malformed_body": Code(400, "user", "Send JSON, or a form for data sets."),
    "method_not_allowed": Code(405, "user", "Use a method that the Allow header names."),
    "no_worker": Code(503, "service", "Start a worker; jobs wait until one is there."),
    "not_found": Code(404, "user", "Check the id."),
    "prediction_process_lost": Code(
        503, "outside", "Try again; if it stays, the API needs more memory for predictions."
    ),
    "prediction_timeout": Code(503, "outside", "Send fewer texts, or try again: the model may be loaded by now."),
    "predictions_busy": Code(503, "outside", "Try again after Retry-After."),
    "predictions_unavailable": Code(
        501, "service", "Do what `detail` says, or download the mask and use `espalier.load_pruned`."
    ),
    "quota_exceeded": Code(507, "user", "Delete jobs or data sets that are not needed, or have the limit raised."),
    "range_not_satisfiable": Code(416, "user", "Ask for bytes that the file has: Content-Range tells its size."),
    "route_not_found": Code(404, "user", "Take a path of `/openapi.json`."),
    "scope_missing": Code(403, "user", "Use a key with the scope that `detail` names."),
    "secrets_unavailable": Code(503, "service", "Set ESPALIER_SECRET_KEY, the same for API and workers."),
    "storage_unavailable": Code(
        503, "service", "Try again; if it stays, look at the object storage and its credentials."
    ),
    "sweep_not_ended": Code(409, "user", "Cancel the sweep first, or wait for its jobs."),
    "sweep_not_found": Code(404, "user", "Check the id."),
    "sweep_too_large": Code(422, "user", "Leave combinations out or submit several sweeps."),
    "text_not_unicode": Code(422, "user", "Send whole Unicode characters."),
    "text_shape": Code(422, "user", "Send a text, or a pair for tasks on two columns."),
    "texts_too_long": Code(422, "user", "Send fewer or shorter texts."),
    "too_many_queued_jobs": Code(429, "user", "Wait for jobs to start, or cancel some."),
    "too_many_requests": Code(429, "user", "Wait for Retry-After; RateLimit says what is left."),
    "too_many_streams": Code(503, "outside", "Close other event streams, or poll."),
    "too_many_texts": Code(422, "user", "Send the rest in a further request."),
    "too_many_uploads": Code(503, "outside", "Try again after Retry-After."),
    "too_many_webhooks": Code(422, "user", "Delete a webhook first."),
    "unsupported_media_type": Code(415, "user", "Send JSON and say so in Content-Type; for data sets a form."),
    "webhook_not_found": Code(404, "user", "Check the id."),
    "webhook_refused": Code(422, "user", "Give an https URL that leads to public addresses."),
}
"""``code`` of a problem."""

FAULTS: dict[str, Code] = {
    "form_invalid": Code(None, "user", "Mend the field of the form."),
    "metadata_filter": Code(None, "user", "Write `metadata[key]=value`."),
    "model_name": Code(None, "user", "Give the name of a model: no path, no address."),
    "not_distinct": Code(None, "user", "Name each value once."),
    "nul_character": Code(None, "user", "Take NUL characters out of the text."),
    "preset_conflict": Code(None, "user", "Leave the field out, or take another preset."),
    "file_unreadable": Code(None, "user", "Send the whole file, in the form that its name or type says."),
    "rows_invalid": Code(None, "user", "Mend the row that `row` numbers."),
    "rows_missing": Code(None, "user", "Send a file with rows."),
    "spec_conflict": Code(None, "user", "Change one of the fields that do not go together."),
    "sweep_axis": Code(None, "user", "Give the list beside `base` instead."),
    "unknown_task": Code(None, "user", "Name a task of `GET /v1/tasks`, or describe a custom one."),
    "webhook_secret": Code(None, "user", "Give `whsec_` and 24 to 64 random bytes in base64."),
}
"""``code`` in the ``errors`` of an ``invalid_request`` or ``dataset_invalid``, beside those of pydantic."""

FAILURES: dict[str, Code] = {
    "artifact_not_found": Code(None, "user", "Prune again: the mask that was to be exported is gone."),
    "base_mismatch": Code(None, "user", "Give the very base model that the mask was trained for."),
    "column_missing": Code(422, "user", "Name columns that the data set has."),
    "dataset_gated": Code(None, "user", "Accept the data set's terms on the hub and set a hub token."),
    "dataset_not_found": Code(
        422, "user", "Check the spelling, upload the data set, or set a hub token if it is private."
    ),
    "device_unsupported": Code(None, "user", "Leave the export out, or run the job on a GPU that can."),
    "devices_missing": Code(None, "user", "Lower `devices`, or give the worker as many."),
    "diverged": Code(None, "user", "Lower `learning_rate` or `regularization`."),
    "export_failed": Code(None, "service", "Report it, with the message; the mask is not touched by it."),
    "export_invalid": Code(None, "user", "Download the export again."),
    "export_packages_missing": Code(None, "service", "Install `espalier[onnx]` where jobs run."),
    "export_pointless": Code(None, "user", "Prune further, or take another export: this one would be slower."),
    "export_unsupported": Code(422, "user", "Leave the export out: the model or pattern does not allow it."),
    "export_wrong": Code(None, "service", "Report it: the export does not compute what the masked model does."),
    "hub_token_refused": Code(
        None, "user", "Set a new one with `PUT /v1/secrets/hub_token`, or delete it if what you name is public."
    ),
    "hub_unreachable": Code(None, "outside", "It is tried again; or put the files under the local folders."),
    "insufficient_storage": Code(None, "service", "Give the worker a larger disk."),
    "label_word_unknown": Code(422, "user", "Take label words that are one token of the model."),
    "label_words_collide": Code(422, "user", "Take label words that are different tokens."),
    "labels_mismatch": Code(422, "user", "Make labels, label words and data agree."),
    "mask_form": Code(None, "user", "Let the file's name end in a form of masks."),
    "mask_invalid": Code(None, "user", "Download the mask again."),
    "max_duration_exceeded": Code(None, "user", "Raise `max_duration`, or ask for fewer steps."),
    "model_config_invalid": Code(422, "user", "Take a folder with a config.json of a known model type."),
    "model_config_missing": Code(422, "user", "Take a folder with a config.json."),
    "model_gated": Code(None, "user", "Accept the model's terms on the hub and set a hub token."),
    "model_head_missing": Code(422, "user", "Take a checkpoint with the head that `head` names."),
    "model_invalid": Code(422, "user", "Take a checkpoint that transformers can load."),
    "model_not_found": Code(
        422, "user", "Check the spelling, put the model under the local folder, or set a hub token if it is private."
    ),
    "model_nothing_to_prune": Code(None, "user", "Take an encoder such as BERT, RoBERTa, DistilBERT or ELECTRA."),
    "model_type_unsupported": Code(422, "user", "Take a model type of docs/spec.md."),
    "model_weights_corrupt": Code(422, "user", "Download the model again: its weights are damaged."),
    "model_weights_incomplete": Code(422, "user", "Take a checkpoint that has all weights."),
    "model_weights_missing": Code(422, "user", "Take a checkpoint with weights in safetensors format."),
    "out_of_memory": Code(None, "user", "It is tried again; lower `batch_size` or `max_length` if it stays."),
    "pattern_unfit": Code(None, "user", "Use `pattern` unstructured."),
    "peer_lost": Code(None, "outside", "It is tried again; the other process's error is the reason."),
    "precision_unavailable": Code(None, "user", "Set `precision` to fp32, or run on another device."),
    "prediction_failed": Code(None, "service", "Report it, with the message; in HTTP it is predictions_unavailable."),
    "quota_exceeded": Code(None, "user", "Delete jobs or data sets that are not needed, or have the limit raised."),
    "ranks_differ": Code(None, "service", "Set `devices` to 1, or give the worker devices of one kind."),
    "revision_not_found": Code(None, "user", "Give a branch, tag or commit that exists."),
    "rows_invalid": Code(422, "user", "Mend the row that the message names."),
    "rows_missing": Code(None, "user", "Give a split with rows."),
    "schedule_too_short": Code(None, "user", "Raise `epochs` or `max_steps`, or lower `batch_size`."),
    "secrets_unavailable": Code(None, "service", "Give workers the secret key that the API has."),
    "spec_unreadable": Code(None, "user", "Check the path of the spec."),
    "split_missing": Code(422, "user", "Give train and validation splits, or name the ones there are."),
    "stopped": Code(None, "user", "Start it again: it goes on from its checkpoint."),
    "storage_unavailable": Code(None, "service", "It is tried again; look at the object storage and its credentials."),
    "teacher_tokenizer": Code(None, "user", "Take a teacher with the model's tokenizer."),
    "teacher_too_short": Code(None, "user", "Lower `max_length`, or take another teacher."),
    "tokenizer_invalid": Code(422, "user", "Take a folder with a tokenizer that can be read."),
    "tokenizer_missing": Code(422, "user", "Take a folder with a tokenizer."),
    "token_unreadable": Code(None, "service", "Check the file that holds the hub token."),
    "trainer_bug": Code(None, "service", "Report it, with the message."),
    "trainer_crashed": Code(None, "outside", "It is tried again; the message has the trainer's last words."),
    "trainer_killed": Code(
        None, "outside", "It is tried again; most often memory ran out: lower `batch_size` or `max_length`."
    ),
    "trainer_stalled": Code(
        None, "outside", "It is tried again; ESPALIER_STALL_SECONDS says how long silence may last."
    ),
    "trainer_stopped": Code(None, "outside", "It is tried again."),
    "weights_invalid": Code(None, "user", "Download mask and weights from the same job."),
    "weights_missing": Code(None, "user", "Download `weights.safetensors` of the job beside the mask."),
    "window_too_short": Code(
        None, "user", "Raise `max_length` or lower `stride`; of a prediction (422): shorten the question."
    ),
    "worker_environment": Code(None, "service", "Look at the worker's log: it could not start the trainer."),
    "worker_lost": Code(None, "outside", "It is tried again, up to ESPALIER_MAX_ATTEMPTS."),
}
"""``error.code`` of a job, of an export, or of a program; with a status also the ``code`` of a refusal at submission."""
