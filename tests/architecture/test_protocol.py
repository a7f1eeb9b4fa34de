"""Protocol between versions: who adds a field of the spec or a kind of job says which workers know it."""

from pruning.spec.schema import PruningSpec
from service.protocol import PROTOCOL, SPEC_SINCE, required_protocol
from service.states import JobKind

FIELDS = set(
    """
    CustomTask.config CustomTask.dataset CustomTask.kind CustomTask.label CustomTask.label_columns CustomTask.label_words
    CustomTask.labels CustomTask.metric CustomTask.text CustomTask.train_split CustomTask.validation_split adam_epsilon
    bad_rows_limit baseline baseline_learning_rate batch_size calibrate_logits calibration_rows checkpoint_every class_weights
    clip_apart devices distill_share distill_states distill_temperature dropout epochs eval_every fit_readout
    gradient_accumulation head hold init_from keep label_word_pieces label_words learning_rate max_grad_norm max_length
    max_steps method model on_bad_rows one_shot pattern pooling precision preset prior prior_rows prior_strength prior_weights
    ramp ramp_shape regularization regularization_ramp revision seed sparsity sparsity_by stride surplus task teacher
    teacher_labels temperature template threshold tier train_biases train_readout train_rows validation_rows validation_share
    version weight_learning_rate
    """.split()
)
"""Fields of a spec since the protocol ``SPEC_SINCE``, of the objects in it with the class before a dot."""


def test_fields_of_a_spec_are_those_of_their_protocol() -> None:
    """Trainers refuse a field that they do not know, and the stored spec has all fields."""
    schema = PruningSpec.model_json_schema()
    nested = {f"{name}.{field}" for name, about in schema["$defs"].items() for field in about.get("properties", {})}
    changed = FIELDS ^ ({*schema["properties"]} | nested)
    assert not changed, (
        f"the fields {sorted(changed)} came or went: workers of the version before refuse such specs. In service/protocol.py set "
        "SPEC_SINCE to a protocol that no release has, raising PROTOCOL unless it is one already, and change FIELDS here"
    )


def test_every_kind_of_job_has_its_protocol() -> None:
    assert all(SPEC_SINCE <= required_protocol(kind) <= PROTOCOL for kind in JobKind)
