"""The one settings object: everything about this machine that a person may choose, read from `MCML_*` variables.

What belongs to a cloud or region is in the topology, what belongs to a use case in its `defs.yaml`.
"""

from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parents[2]
TOPOLOGIES = Path(__file__).resolve().parents[1] / "topologies"
DEFS = Path(__file__).resolve().parents[1] / "defs"


class Settings(BaseSettings):
    """Settings with their defaults; `MCML_EDGE_PORT=9000` in the environment changes `edge_port`."""

    model_config = SettingsConfigDict(env_prefix="MCML_", frozen=True)

    profile: str = Field(default="local", description="Topology to run on: a file in mcml_assets/topologies.")
    # Profiles do not share a folder: Dagster would take what it knows of one platform's buckets for the other's.
    home: Path = Field(
        default_factory=lambda read: PROJECT_ROOT / ".mcml" / ("" if read["profile"] == "local" else read["profile"]),
        description="Folder of everything the platform of this profile writes on this machine.",
    )
    topology: Path | None = Field(default=None, description="Path of a topology file; overrides the profile.")
    webserver_port: int = Field(default=3000, description="Port of the Dagster UI.", gt=0, lt=65536)
    edge_port: int = Field(default=8080, description="Port of the edge, the one address for predictions.", gt=0, lt=65536)
    edge_host: str = Field(
        default="127.0.0.1", description="Address that the edge listens on; beyond loopback it must ask who calls."
    )
    edge_admin_port: int = Field(default=8081, description="Port of Envoy's admin interface.", gt=0, lt=65536)
    metrics_port: int = Field(
        default=8082, description="Port where the data plane tells Prometheus of routes, endpoints and targets.", gt=0, lt=65536
    )
    otlp_endpoint: str = Field(
        default="", description="OTLP/HTTP address of a collector for traces, such as http://127.0.0.1:4318; empty: no traces."
    )
    trace_share: float = Field(
        default=1.0, description="Share of requests that are traced, unless their caller has decided already.", ge=0, le=1
    )
    # The p95 of an idle endpoint with its feature lookup is below 20 ms, and a hedge costs one request.
    edge_hedge_seconds: float = Field(
        default=0.05, description="How long a location may take to answer before the edge asks another one as well.", gt=0
    )
    edge_callers: Path | None = Field(
        default=None, description="Folder of the callers that may ask the edge; without it the edge asks nobody who they are."
    )
    edge_tls_certificate: Path | None = Field(default=None, description="Certificate chain of the edge (PEM); with it, TLS.")
    edge_tls_key: Path | None = Field(default=None, description="Private key of the edge's certificate (PEM).")
    edge_client_authority: Path | None = Field(
        default=None, description="Authorities (PEM) whose certificates tell the edge who a caller is; needs TLS."
    )
    # How we ask the edge ourselves: `mcml predict`, health checks and synthetic transactions.
    edge_authority: Path | None = Field(
        default=None, description="Authority (PEM) of the edge's certificate, where the system does not know it."
    )
    edge_token: str = Field(default="MCML_TOKEN", description="Environment variable that holds the token to ask the edge with.")
    client_certificate: Path | None = Field(default=None, description="Certificate (PEM) to ask the edge with.")
    client_key: Path | None = Field(default=None, description="Private key of the certificate to ask the edge with (PEM).")
    # Below 32768: the kernel hands out ephemeral ports above it, and a model server would find its own taken.
    endpoint_first_port: int = Field(default=18000, description="First of the ports given to model servers.", gt=0, lt=65000)
    endpoint_ports: int = Field(default=200, description="How many ports model servers may use.", gt=0, le=2000)
    emulator_first_port: int = Field(
        default=15000, description="First of the three ports of the clouds' emulators: S3, GCS, Azure.", gt=0, lt=65000
    )
    faults_allowed: bool = Field(
        default=False, description="Whether faults may be set on a profile other than local and emulated."
    )
    replication_memory_mib: int = Field(
        default=256, description="MiB of memory that the files of one copy may hold together.", ge=16
    )
    replication_concurrency: int = Field(
        default=8, description="How many files of one copy may be on their way at the same time.", gt=0, le=256
    )
    scrub_days: int = Field(
        default=7, description="Within how many days everything that is stored is read and compared again.", gt=0
    )
    collection_grace_hours: float = Field(
        default=24, description="Hours that an unneeded file, and a superseded snapshot, stay for whoever reads them.", ge=1
    )
    # Names of variables, not what is in them: a secret is never a setting.
    alert_webhook: str = Field(default="", description="Environment variable that holds a webhook's address for alerts.")
    alert_slack: str = Field(default="", description="Environment variable that holds a Slack incoming webhook's address.")
    alert_pagerduty: str = Field(default="", description="Environment variable that holds a PagerDuty routing key.")
    alert_pagerduty_address: str = Field(
        default="https://events.pagerduty.com/v2/enqueue", description="Where PagerDuty takes events (EU accounts: another)."
    )
    alert_repeat_hours: float = Field(default=24, description="Hours after which an alert not mended is told again.", gt=0)
    prediction_log_seconds: float = Field(
        default=15, description="How often predictions are taken from the spool into their location's bucket.", ge=0.2
    )
    concurrent_starts: int = Field(default=2, description="How many model servers may start at the same time.", gt=0)

    @cached_property
    def topology_file(self) -> Path:
        """The topology file that the profile, or the explicit path, names."""
        return self.topology if self.topology is not None else TOPOLOGIES / f"{self.profile}.yaml"

    @property
    def clouds_folder(self) -> Path:
        """Where the local clouds keep their buckets."""
        return self.home / "clouds"

    @property
    def data_plane_folder(self) -> Path:
        """Where endpoints and the edge keep manifests, status, routes and logs."""
        return self.home / "data_plane"

    @property
    def dagster_home(self) -> Path:
        """The Dagster instance that `mcml dev` starts."""
        return self.home / "dagster"

    @property
    def faults_file(self) -> Path:
        """The plan of faults of the running platform; absent while nothing was ever set."""
        return self.home / "faults.json"

    @property
    def drills_folder(self) -> Path:
        """The results of drills, and their reports."""
        return self.home / "drills"

    def location_folder(self, location: str) -> Path:
        """Working files of one location: its Feast repositories and downloaded packages."""
        return self.home / "locations" / location
