"""The keys of a workload's `defs.yaml`, each described where it is declared; also the JSON schema of `dg check yaml`.

Only shape is judged here: which keys there are, of which type, from which list. What needs a second key, the topology
or the files beside `defs.yaml` is judged in `placement_rules.py`, `data_rules.py` and `code_rules.py`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mcml_assets.domain.canary import DEFAULT_CANARY
from mcml_assets.domain.contract import OnBreakingContract
from mcml_assets.domain.drift import DEFAULT_DRIFT, DriftReference
from mcml_assets.domain.endpoint_access import EndpointCapability
from mcml_assets.domain.error_budget import DEFAULT_OBJECTIVES, ROLLOUT_RATE
from mcml_assets.domain.quality import DEFAULT_QUALITY
from mcml_assets.domain.workload import DEFAULT_RETENTION, FIRST_VERSION, Classification, Failback

# Names become asset keys, folders, tables and Feast views: one plain form fits all of them.
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]
Text = Annotated[str, StringConstraints(min_length=1)]
# A function of a file beside defs.yaml.
Function = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\.py:[A-Za-z_][A-Za-z0-9_]*$")]
# Without quotes YAML reads 1.10 as the number 1.1.
Version = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*\.(0|[1-9][0-9]*)$")]
# Dagster refuses any other owner, and with it the whole code location.
Owner = Annotated[str, StringConstraints(pattern=r"^([^@\s]+@[^@\s]+\.[^@\s]+|team:[A-Za-z0-9_-]+)$")]

ColumnType = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float", "float32", "double",
    "float64", "string", "binary", "date32", "timestamp[us]", "timestamp[us, tz=UTC]",
]  # fmt: skip
FeatureType = Literal["bool", "int32", "int64", "float32", "float64", "string"]
KeyType = Literal["int32", "int64", "string"]
Metric = Literal["roc_auc", "average_precision", "log_loss", "brier"]


class Written(BaseModel):
    """Something people write: a key that is not declared is an error, not a silent nothing."""

    # Assignment is validated so that the sound sections of a broken file can be taken over one by one.
    model_config = ConfigDict(extra="forbid", validate_assignment=True)


class PlacedModel(Written):
    """One location of a placement."""

    location: str = Field(description="A cloud and a region of the topology: aws/eu-west-2.")
    standby: Literal["warm", "cold"] | None = Field(
        None,
        description="warm: an endpoint runs; cold: data and model only. Absent for the first, the primary.",
    )


class LockInModel(Written):
    """The one cloud a workload cannot leave."""

    cloud: str = Field(description="The cloud.")
    reason: Text = Field(description="Why it cannot leave: an architect's decision, on record.")


class PlacedByModel(Written):
    """Which rows belong to which jurisdiction."""

    column: str = Field(description="The string column that decides.")
    values: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        description="Its values by jurisdiction. Rows with any other value are placed nowhere and do not enter."
    )


class SourceModel(Written):
    """One table the workload reads, as a Parquet file."""

    path: Text = Field(description="The Parquet file, relative to this file.")
    columns: dict[Text, ColumnType] = Field(description="Every column with its Arrow type.", min_length=1)
    event_time: str | None = Field(
        None,
        description="The timestamp column that batches go by. Absent: a reference table, taken whole when changed.",
    )
    first_batch_days: int | None = Field(None, description="Days of events that the first landing takes.", gt=0)
    batch_days: int | None = Field(None, description="Days of events that each later landing takes.", gt=0)
    placed_by: PlacedByModel | None = Field(None, description="Which rows belong to which jurisdiction.")


class EntityModel(Written):
    """What a caller asks about."""

    name: Name = Field(description="The thing asked about: customer.")
    key: Text = Field(description="The column that identifies it: customer_id.")
    type: KeyType = Field(description="Arrow type of the key.")


class AsOfModel(Written):
    """At which times features are computed."""

    first_after_days: int = Field(description="Days from the earliest event to the first time.", gt=0)
    every_days: int = Field(description="Days from one time to the next.", gt=0)


class FeatureViewModel(Written):
    """One table of features."""

    join_key: Text = Field(description="The column that identifies a row of the view.")
    join_key_type: KeyType = Field(description="Arrow type of the join key.")
    join_key_from: str | None = Field(
        None, description="The view that has the join key as a feature. Absent: the join key is the entity's key."
    )
    ttl_days: int | None = Field(None, description="How old a feature may be when joined, in days. Absent: any age.", gt=0)
    features: dict[Text, FeatureType] = Field(description="Every feature with its Arrow type.", min_length=1)


class FeaturesModel(Written):
    """How features are computed and looked up."""

    function: Function = Field(description="features(tables, as_of): one frame per view. file.py:function.")
    entity: EntityModel = Field(description="What a caller asks about.")
    as_of: AsOfModel | None = Field(None, description="At which times. Absent: as of the newest data only.")
    views: dict[Name, FeatureViewModel] = Field(description="Feature views by name.", min_length=1)
    contract: Function | None = Field(
        None, description="feature_contract(): rules beyond the declared views, one pandera schema per view. file.py:function."
    )
    compute_profile: str | None = Field(
        None, description="A compute profile of the topology: features are a process or pod of their own. Absent: the run's."
    )


class TrainingModel(Written):
    """How a model is made and judged."""

    train: Function = Field(description="train(x, y): a fitted scikit-learn classifier. file.py:function.")
    target: Function = Field(description="target(tables, as_of): entity, event_timestamp, target. file.py:function.")
    metric: Metric = Field(description="What decides whether a candidate passes.")
    horizon_days: int = Field(description="Days until a label is known; 0 when it comes with the event.", ge=0)
    test_share: float = Field(description="Share of the newest labelled times that is held out.", gt=0, lt=1)
    compute_profile: str | None = Field(
        None, description="A compute profile of the topology: training is a process or pod of its own. Absent: the run trains."
    )
    equivalence_tolerance: float | None = Field(
        None,
        description="How far a golden prediction may be from the served model's when training fell back to another profile.",
        gt=0, lt=1,
    )  # fmt: skip


class LatencyModel(Written):
    """How fast answers have to be."""

    milliseconds: float = Field(
        DEFAULT_OBJECTIVES.latency_milliseconds, description="An answer that took longer is a slow one.", gt=0
    )
    share: float = Field(
        DEFAULT_OBJECTIVES.latency_share, description="Share of the answers that are not slow, below 1.", gt=0, lt=1
    )


class ObjectivesModel(Written):
    """What is promised of a workload's answers, and from which its error budget follows."""

    availability: float = Field(
        DEFAULT_OBJECTIVES.availability,
        description="Share of the requests that are answered without an error of the platform; below 1, or no budget is left.",
        gt=0,
        lt=1,
    )
    latency: LatencyModel = Field(
        default_factory=lambda: LatencyModel.model_validate({}), description="How fast answers have to be."
    )
    period_days: float = Field(
        DEFAULT_OBJECTIVES.period_days, description="Days for which the budget has to last.", gt=0, le=366
    )


class RolloutModel(Written):
    """How a new version takes over a location, step by step; each step is judged by the objectives."""

    steps: list[Annotated[int, Field(ge=1, le=100)]] = Field(
        description="Shares of the location's requests in percent, rising, the last 100: [5, 25, 50, 100].", min_length=1
    )
    dwell_seconds: float = Field(300, description="How long each share is watched.", ge=1)
    shadow_seconds: float = Field(60, description="How long copies of live requests are watched before that.", ge=1)
    shadow_percent: int = Field(100, description="Share of the live requests that are copied; 0 for none.", ge=0, le=100)
    canaries: list[str] = Field(
        [], description="Locations that a new version reaches first. In a jurisdiction without one it is the last warm standby."
    )

    @model_validator(mode="after")
    def _rising(self) -> "RolloutModel":
        if self.steps != sorted(set(self.steps)) or self.steps[-1] != 100:
            raise ValueError(f"steps {self.steps} must rise and end with 100")
        return self


class ServingModel(Written):
    """How predictions are answered."""

    compute_profile: str = Field(description="A compute profile of the topology.")
    golden_predictions: int = Field(16, description="How many predictions a copy of the model must repeat.", gt=0)
    golden_tolerance: float = Field(1e-9, description="By how much a repeated prediction may differ.", ge=0)
    timeout_seconds: float = Field(2, description="Seconds in which an endpoint must have answered.", gt=0)
    needs: list[EndpointCapability] = Field(
        [], description="What the endpoint platform of every location must be able to do: canary_weights, alarm_rollback, ..."
    )
    objectives: ObjectivesModel = Field(
        default_factory=lambda: ObjectivesModel.model_validate({}), description="What is promised of the answers."
    )
    rollout: RolloutModel | None = Field(
        None, description="Steps by which a new version takes over. Absent: at once, when its server is ready."
    )

    @model_validator(mode="after")
    def _can_be_missed(self) -> "ServingModel":
        slow, late = self.objectives.latency.milliseconds, self.timeout_seconds * 1000
        if slow >= late:
            raise ValueError(
                f"objectives.latency.milliseconds ({slow:g}) must be below timeout_seconds ({late:g} ms): what takes longer "
                "than the timeout is no slow answer, but none"
            )
        lowest = 1 - 1 / ROLLOUT_RATE
        promised = {"availability": self.objectives.availability, "latency.share": self.objectives.latency.share}
        for name, share in promised.items():
            if self.rollout is not None and share <= lowest:
                raise ValueError(
                    f"objectives.{name} ({share:g}) must be above {lowest:.4f} with rollout.steps: below it no share of bad "
                    f"answers burns the budget at {ROLLOUT_RATE:g} times its rate, and no step could ever fail"
                )
        return self


class CanaryModel(Written):
    """Training at the standbys, which shows that they could; nothing of it is served."""

    cron: str = Field(DEFAULT_CANARY.cron, description="When every location trains, as five cron fields (UTC).")
    metric_margin: float = Field(
        DEFAULT_CANARY.metric_margin,
        description="By how much a standby's model and the served one may differ in training.metric, on the same rows.",
        ge=0,
    )
    golden_tolerance: float = Field(
        DEFAULT_CANARY.golden_tolerance,
        description="By how much their scores of the golden inputs may differ on average, when both learnt from the same data.",
        ge=0,
        le=1,
    )
    reason: Text = Field(description="Why these figures: a decision, on record.")


class DriftModel(Written):
    """How far features and predictions may move from what the served model learnt."""

    warn: float = Field(
        DEFAULT_DRIFT.warn,
        description="First threshold of the effect: the population stability index, or the squared shift in standard "
        "deviations, whichever is larger.",
        gt=0,
    )
    error: float = Field(DEFAULT_DRIFT.error, description="Second threshold of the effect.", gt=0)
    false_alarms: float = Field(
        DEFAULT_DRIFT.false_alarms, description="Largest share of checks that may accuse when nothing changed.", gt=0, lt=1
    )
    reference: DriftReference = Field(
        DEFAULT_DRIFT.reference,
        description="What the present is compared with: training, the rows the served model learnt from; previous, the "
        "time before; same_month_last_year, for features that follow the seasons.",
    )
    window_days: int = Field(
        DEFAULT_DRIFT.window_days, description="Days that are the present, in views whose rows bring their own times.", gt=0
    )

    @model_validator(mode="after")
    def _ordered(self) -> "DriftModel":
        if self.error < self.warn:
            raise ValueError(f"error ({self.error:g}) must not be below warn ({self.warn:g})")
        return self


class QualityModel(Written):
    """How good a candidate must be to become a model, in the unit of `training.metric`."""

    min_improvement: float = Field(
        DEFAULT_QUALITY.min_improvement,
        description="Least advantage over the trivial baseline, at the lower end of its 95 % confidence interval.",
    )
    served_margin: float = Field(
        DEFAULT_QUALITY.served_margin,
        description="By how much the model now served may be better on the same held-out rows, at that end of the interval.",
        ge=0,
    )
    segments: list[Text] = Field(
        [],
        description="Features by whose values held-out rows are divided. In no segment may a candidate surely be worse than "
        "the baseline, nor by more than served_margin than the served model. Numbers are divided at training's quartiles.",
    )
    max_calibration_error: float = Field(
        DEFAULT_QUALITY.max_calibration_error,
        description="Largest expected calibration error: mean distance of scores from the shares of positives they promise.",
        gt=0,
        le=1,
    )
    reason: Text = Field(description="Why these figures: a decision, on record.")


class ThresholdsModel(Written):
    """What the workload's checks are judged by."""

    quality: QualityModel | None = Field(
        None,
        description="How good a candidate must be. Absent: better than guessing, and "
        f"no worse than the served model by more than {DEFAULT_QUALITY.served_margin:g}.",
    )
    drift: DriftModel = Field(
        default_factory=lambda: DriftModel.model_validate({}), description="How far the data may move from what was learnt."
    )


class ToleranceModel(Written):
    """By how much a feature may differ between locations that compute it independently."""

    absolute: float = Field(0.0, description="Differences up to this are none, in the feature's unit.", ge=0)
    relative: float = Field(0.0, description="Differences up to this share of the larger number are none.", ge=0, lt=1)
    reason: Text = Field(description="Why locations may differ: a decision, on record.")


class RetentionModel(Written):
    """How long snapshots are kept; the current one, the one before, what is served or on legal hold stay in any case."""

    keep_last: int = Field(DEFAULT_RETENTION.keep_last, description="How many of an asset's newest snapshots stay.", gt=0)
    keep_days: float = Field(DEFAULT_RETENTION.keep_days, description="Days that every snapshot stays.", ge=0)


class WorkloadModel(Written):
    """One machine learning use case: the `attributes` of its `defs.yaml`."""

    name: Name = Field(description="The workload's name, which is also its folder's name.")
    owner: Owner = Field(description="Who answers for it: an e-mail address, or team:<name>.")
    description: Text = Field(description="What it decides, for people.")
    classification: Classification = Field(description="How sensitive its data is.")
    personal_columns: list[str] = Field([], description="Columns whose values never appear in a log or an event.")
    regulations: list[str] = Field([], description="What its data is subject to.")
    placements: dict[str, Annotated[list[PlacedModel], Field(min_length=1)]] = Field(
        description="Locations by jurisdiction; the first of each is the primary.", min_length=1
    )
    rto_seconds: int = Field(description="Recovery time objective: longest outage, in seconds.", gt=0)
    rpo_seconds: int = Field(description="Recovery point objective: oldest data after a failover, in seconds.", gt=0)
    failback: Failback = Field(
        Failback.AUTO,
        description="After an outage. auto: the primary gets its work back when it has answered long enough and lacks "
        "nothing; manual: when a person says `mcml failback`.",
    )
    managed_services: list[str] = Field([], description="Managed services it depends on, by the provider's name.")
    lock_in: LockInModel | None = Field(None, description="The one cloud it cannot leave, and why.")
    cron: str = Field(description="When a landing looks for new data, as five cron fields.")
    sources: dict[Name, SourceModel] = Field(description="What it reads, by name.", min_length=1)
    contract: Function = Field(description="contract(): one pandera schema per source. file.py:function.")
    contract_version: Version = Field(
        FIRST_VERSION, description="The contract's version, as text: a breaking change needs a new first number."
    )
    on_breaking_contract: OnBreakingContract = Field(
        OnBreakingContract.KEEP,
        description="Rows that landed under an older first number. keep: they are brought into the new form, and a landing "
        "fails where they cannot be; retake: all rows are taken from the source again.",
    )
    checks: list[Function] = Field(
        [], description="Checks of your own: name(raw_data) or name(feature_snapshot), True, False or what is wrong."
    )
    features: FeaturesModel = Field(description="How features are computed and looked up.")
    training: TrainingModel = Field(description="How a model is made and judged.")
    canary: CanaryModel | None = Field(
        None,
        description="When standbys train, and how far they may be from the served model. Absent: every Sunday, within "
        f"{DEFAULT_CANARY.metric_margin:g} of the metric.",
    )
    serving: ServingModel = Field(description="How predictions are answered.")
    thresholds: ThresholdsModel = Field(
        default_factory=lambda: ThresholdsModel.model_validate({}), description="What its checks are judged by."
    )
    tolerances: dict[Text, ToleranceModel] = Field(
        {}, description="By how much features may differ between locations, by name. Absent: not at all."
    )
    retention: RetentionModel = Field(
        default_factory=lambda: RetentionModel.model_validate({}), description="How long its snapshots are kept."
    )


class WorkloadFileModel(Written):
    """The whole of a workload's `defs.yaml`."""

    type: Literal["mcml_assets.Workload"] = Field(description="The Dagster component.")
    attributes: WorkloadModel = Field(description="The workload.")
