# made by `python -m scripts.client_fields` from the request schemas of the API; change those, not this file
"""Keywords of ``submit``, ``dry_run``, ``sweep``, ``export``, ``evaluate``, ``page`` and ``list``, as TypedDicts.

For editors and type checkers. Nothing is refused here: the service checks each name and value, and its answer names the field.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Required, TypedDict

METHODS = ("smp-s", "smp-l", "smp-g", "movement", "soft-movement", "magnitude", "l0", "wanda", "random")
"""Methods of every service; packages installed there add others (``espalier methods``)."""


class CustomTask(TypedDict, total=False):
    """A task on the user's own data: which columns to read and what to predict."""

    dataset: Required[str]
    """Id of an uploaded data set, folder under the data sets directory, or data set on the hub."""
    config: str | None
    """Configuration of a hub data set."""
    text: Required[Sequence[str]]
    """One or two text columns, in order; token-classification: the column with the lists of words; span: question and context."""
    label: str
    """Column with the class id (0, 1, ...), the number to regress on, the list of a row's labels (multilabel), of its words' IOB2
    tags (token-classification) or answers in SQuAD's form, {text: [...], answer_start: [...]} (span); default "label"."""
    label_columns: Sequence[str] | None
    """multilabel: one column of 0 and 1 per label, in place of label."""
    kind: Literal["classification", "regression", "multilabel", "token-classification", "span"]
    """Whether a row has one of several classes, a number, any number of labels (multilabel), a tag for each of its words
    (token-classification), or an answer that occurs in its context or none (span); default "classification"."""
    metric: (
        Literal[
            "accuracy",
            "f1",
            "matthews",
            "pearson",
            "spearman",
            "micro_f1",
            "macro_f1",
            "precision",
            "recall",
            "token_accuracy",
            "exact",
        ]
        | None
    )
    """Metric that names the result; default accuracy, pearson (regression), micro_f1 (multilabel), f1 of entities
    (token-classification) or f1 of answers (span)."""
    labels: Sequence[str] | None
    """Class names in class-id order; needed where the label column holds names instead of ids, and for multilabel, where
    label_columns are their default; token-classification: its tags, by default those of the training split. With head classifier
    they suffice."""
    label_words: Sequence[str | Sequence[str]]
    """Words of each class, one or a list, in class-id order (regression: one word), for head label-words; default from labels."""
    train_split: str
    """Split that is trained on; default "train"."""
    validation_split: str
    """Split that the metrics are measured on; default "validation"."""


class JobWebhook(TypedDict, total=False):
    """URL and events of a webhook for one job. The secret is yours and never shown, because a response may be repeated."""

    url: Required[str]
    """https URL of a public address; checked now and at every call."""
    events: Sequence[Literal["job.started", "job.paused", "job.succeeded", "job.failed", "job.cancelled"]]
    """Default: the ends of jobs."""
    secret: Required[str]
    """Secret that signs the messages: `whsec_` and 24 to 64 random bytes in base64."""


class SharedFields(TypedDict, total=False):
    """Fields that the jobs of a sweep have in common."""

    version: Literal[1]
    """Version of this schema; default 1."""
    model: Required[str]
    """Folder under the models directory, a model on the hub, or the id of an uploaded one."""
    revision: str | None
    """Branch, tag or commit of a hub model; default its main branch."""
    task: Required[str | CustomTask]
    """One of cola, mnli, mrpc, qnli, qqp, rte, squad, squad_v2, sst2, stsb, or a custom task on named columns."""
    preset: Literal["espalier", "paper", "upstream"]
    """paper / upstream pin every point on which the paper and its code disagree; default "espalier"."""
    pattern: Literal["unstructured", "2:4"]
    """Where zeros may lie; default "unstructured"."""
    sparsity_by: Mapping[str, float]
    """Sparsity of single matrices by patterns of their paths, as {"*.attention.*": 0.8, "encoder.layer.0.*": 0}; 0 leaves a matrix
    dense; the others share what sparsity leaves over all."""
    one_shot: bool
    """magnitude only: prune once, without training; default false."""
    head: Literal["label-words", "span", "classifier", "token-classifier"]
    """label-words: frozen MLM head, columns of the label words; default follows the task: multilabel has classifier,
    token-classification token-classifier."""
    pooling: Literal["first", "mean"] | None
    """classifier of an encoder: whether it reads the first token's state or, as sentence-transformers' mean pooling, the mean over
    the tokens of the row; default null, what transformers' class of the model reads: the first token's state, of ModernBERT what
    its configuration says."""
    label_words: Sequence[str | Sequence[str]]
    """One word per class, or the list of its words, in class-id order; the logit of a class is the mean of its words' logits;
    default the task's, or made from its labels."""
    label_word_pieces: Literal["refuse", "mean"]
    """For a label word that is not a single token of the model: refuse the job, or take the mean of its pieces' rows and biases of
    the output embedding; default "refuse"."""
    template: str | None
    """label-words: text around a row's texts with the mask where the word is read, as '{text} It was {mask}.' or '{text_a}? {mask},
    {text_b}'; lm-bff: that paper's for a GLUE task; default none, the word is read at the first token."""
    teacher: str | None
    """Fine-tuned model whose logits the run is distilled from."""
    teacher_labels: Sequence[str] | None
    """The teacher's class names in the order of its logits, where its configuration has none."""
    distill_temperature: float
    """τ of the distillation loss; default 2.0."""
    distill_share: float
    """Share of the distillation loss; the task loss has the rest; default 0.5."""
    distill_states: float
    """Weight of the loss on hidden states (targets: the dense model); default 1: preset espalier, smp, up to 0.95."""
    tier: Literal["masks", "masks+extras"]
    """masks: scores alone, the weights stay frozen; masks+extras: biases, norms and the read-out are trained as well, at most 0.5 %
    of the masked weights, and stored with the mask; default "masks"."""
    train_biases: bool
    """Train biases and norms of the encoder as well; they are then stored with the mask; default follows tier."""
    train_readout: bool
    """Train the read-out as well: the label words' rows and biases of the output embedding, or the last matrix of a classifier; it
    is then stored with the mask; default follows tier."""
    fit_readout: bool
    """Start the last matrix of a new classifier, or a read-out that is trained, at its ridge regression on the calibration rows,
    from the states of the dense model, in place of random numbers or the label words' rows; default true where nothing is trained
    that could move a new classifier, except with the presets paper and upstream."""
    calibrate_logits: bool
    """label-words: scale and shift the logits so that the run starts at the frequencies of the classes; default true, except with
    the presets paper and upstream."""
    init_from: str | None
    """Start from this mask in place of the whole model: the id of a job that has succeeded, with the same model, or of an uploaded
    mask; or the SHA-256 of the file that python -m pruning train --init-mask is given. Needs a method that takes a prior."""
    prior: Literal["wanda"] | None
    """Start scores from this saliency instead of zero; default wanda for the smp methods, except with the presets paper and
    upstream."""
    prior_strength: float
    """Strength of the prior, in units of the spread that noise gives scores: learning_rate * sqrt(steps / 3); default 1.5."""
    prior_rows: int
    """Rows seen in a run (steps * rows of a step) up to which the prior has its full strength; in longer runs it falls as
    prior_rows / rows seen, because the scores then learn more than the prior contains; default 8000."""
    prior_weights: int
    """Masked weights of a model for which prior_strength and prior_rows stand (default: those of a MiniLM with 6 layers). Of a
    model with r times as many, r at most 16, the strength is r ** 1.25 and the rows r times as large: the same rows say less of
    each weight."""
    calibration_rows: int
    """Training rows, evenly spaced over the split, that wanda, the calibration of logits and fit_readout read; default 128, with
    fit_readout 512."""
    max_steps: int | None
    """Optimizer steps; replaces epochs."""
    epochs: float | None
    """Passes over the training rows; null when max_steps is given."""
    batch_size: int
    """Rows per micro-batch."""
    gradient_accumulation: int
    """Micro-batches per optimizer step; default 1."""
    max_length: int
    """Longest input in tokens; the rest is cut off."""
    stride: int
    """Spans only: tokens by which windows over a context overlap; default 128."""
    train_rows: int | None
    """Use only the first rows of the training split."""
    validation_rows: int | None
    """Use only the first rows of the validation split."""
    validation_share: float | None
    """Hold out this share of the training split for validation, at most 5,000 rows, in place of the validation split; default 0.1
    where the data set has the training split alone; of a hub set the spec shows it when training begins."""
    on_bad_rows: Literal["refuse", "skip"]
    """Rows that the task cannot use (no label or an unknown one, no text, tags that are not IOB2, an answer that is not in its
    context): refuse the job at the first one, or skip them, count them and report their numbers; default "refuse"."""
    bad_rows_limit: float | None
    """With on_bad_rows skip: largest share of a split's rows that is skipped, above it the job fails; default 0.01."""
    learning_rate: float
    """Learning rate of the scores; falls linearly to 0 over the run; default follows the method."""
    weight_learning_rate: float
    """Learning rate of all that is trained but scores; falls likewise; default 3e-5 with masked weights, else 1e-3."""
    max_grad_norm: float
    """All gradients together are scaled down to this norm; default 1.0."""
    clip_apart: bool
    """Bound the scores' gradients and all others each by max_grad_norm; default true: preset espalier with extras."""
    adam_epsilon: Literal["uncorrected", "corrected"]
    """Added to sqrt(v) before (reference code) or after (torch) bias correction; default "uncorrected"."""
    regularization: float
    """Final weight λ of the mean-sigmoid regulariser; default follows the method."""
    threshold: float
    """τ of soft-movement: weights with σ(S) above it stay; default 0.1."""
    regularization_ramp: Literal["run", "sparsity"]
    """λ rises over the whole run (reference code) or with the sparsity (paper); default "run"."""
    temperature: float
    """p of σ(S/p) in the allocation of smp-s; default 1.0."""
    surplus: Literal["redistribute", "drop"]
    """Weights allotted to an already full matrix go to the others, or are lost (reference code); default "redistribute"."""
    ramp: float
    """Share of the run in which sparsity rises; default 0.6."""
    hold: float
    """Share of the run, at its end, at full sparsity; default 1 - ramp."""
    ramp_shape: Literal["cubic", "linear"]
    """Shape of both ramps; default "cubic"."""
    dropout: float | None
    """In place of the checkpoint's, which null keeps; default 0: preset espalier, distill_states, up to 4 epochs."""
    class_weights: Literal["balanced"] | Sequence[float] | None
    """Weights of the classes in the task loss, for rows that are not shared evenly among them: one positive number per class, in
    class-id order, or balanced: n / (classes * rows of the class), over the training rows that are used; multilabel: of the rows
    that have a label, balanced: rows without it / rows with it; default null, all rows have equal weight."""
    precision: Literal["fp32", "bf16"]
    """Precision of forward and backward passes in training; bf16 needs a device that has it; scores are always fp32; default
    "fp32"."""
    eval_every: int | None
    """Steps between evaluations; default as many as cost about 5 % of the run."""
    keep: Literal["last", "best"]
    """Mask that is delivered: that of the last step, or of the evaluation at full sparsity with the best validation metric, which
    on these rows is biased upwards, because it selects the mask; default "last"."""
    checkpoint_every: int
    """Steps between checkpoints; default 500."""
    baseline_learning_rate: float
    """Learning rate of all weights of the baseline; rises over the first 6 % of the steps, then falls linearly to 0; default
    5e-05."""
    devices: int
    """GPUs of one host to train on, each with its share of every micro-batch; the masks are those of one device up to rounding,
    except with dropout, which each device draws independently; default 1."""
    metadata: Mapping[str, str]
    """Your own key-value pairs; shown back, never read."""
    priority: int
    """Queued jobs with a higher one start first; default 0."""
    max_duration: float | None
    """Seconds that one run may take before it is ended; default the service's."""
    exports: Sequence[Literal["compact", "csr", "onnx", "onnx-int8", "semi-structured", "stock"]]
    """Exports of the mask made at the end, each measured before and after."""
    webhook: JobWebhook | None
    """Webhook for this job, in addition to your other webhooks."""


class JobFields(SharedFields, total=False):
    """Fields of a job. Only ``model`` and ``task`` are required."""

    method: str
    """How scores and masks are made; default "smp-s"; smp-s, smp-l, smp-g, movement, soft-movement, magnitude, l0, wanda, random,
    or one that a package installed at the service adds."""
    sparsity: float
    """Share of the masked weights to remove; without effect where the method's sparsity emerges."""
    seed: int
    """Seed of batch order and dropout; default 42."""
    baseline: bool
    """After the mask also train the dense model by full fine-tuning, on the same batches for as many steps, and report its metrics
    next to the mask's; its weights are not kept; default false."""


class ExportFields(TypedDict, total=False):
    """Fields of a job that exports a mask."""

    priority: int
    """As for any job; default 0."""
    max_duration: float | None
    """As for any job."""


class EvaluationFields(TypedDict, total=False):
    """Fields of a job that evaluates a mask."""

    priority: int
    """As for any job; default 0."""
    max_duration: float | None
    """As for any job."""
    dataset: str | None
    """Another data set with the task's columns and labels: the id of an uploaded one, a folder under the data sets directory, or
    one on the hub; default the task's own."""
    config: str | None
    """Configuration of a hub data set."""
    split: str | None
    """Default the rows that the training validated on; of another data set `validation`."""
    rows: int | None
    """Use only the first rows; default all, and of the training's own validation split as many as it used."""
    dense: bool
    """Evaluate the dense model as well, zero-shot; default false."""


class JobFilters(TypedDict, total=False):
    """Filters of a list of jobs, and its paging."""

    limit: int | None
    """Largest number of jobs returned; default 20."""
    after: str | None
    """`next_cursor` of the page before."""
    status: Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"] | None
    """Only jobs in this state."""
    task: str | None
    """Only jobs for this task, by name."""
    model: str | None
    """Only jobs of this model."""
    method: str | None
    """Only jobs by this method; smp-s, smp-l, smp-g, movement, soft-movement, magnitude, l0, wanda, random, or one that a package
    installed at the service adds."""
    sweep: str | None
    """Only jobs of this sweep."""
    kind: Literal["pruning", "export", "evaluation"] | None
    """Jobs that prune, or those that export or evaluate the mask of another; default "pruning"."""
    metadata: Mapping[str, str] | None
    """Only jobs whose metadata has these pairs: `metadata[team]=nlp&metadata[run]=7`."""
