"""A sound workload in a folder of its own, and the ways to spoil it."""

from pathlib import Path

from mcml_assets.configuration.settings import TOPOLOGIES
from mcml_assets.configuration.topology import load_topology
from mcml_assets.domain.topology import Topology

MARK = "#!"

SOUND = """\
type: mcml_assets.Workload
attributes:
  name: churn
  owner: retail@example.com
  description: Who leaves.
  classification: confidential
  personal_columns: [customer]
  regulations: [UK GDPR]
  placements:
    UK:
      - location: aws/eu-west-2
      - {location: gcp/europe-west2, standby: warm}
    EU:
      - location: azure/westeurope
      - location: aws/eu-central-1
        standby: cold
  rto_seconds: 60
  rpo_seconds: 3600
  managed_services: []
  lock_in: null
  cron: "0 * * * *"
  sources:
    visits:
      path: data/visits.parquet
      event_time: time
      first_batch_days: 180
      batch_days: 30
      columns:
        customer: int64
        time: "timestamp[us]"
        country: string
        amount: double
      placed_by:
        column: country
        values:
          UK: [United Kingdom]
          EU:
            - France
            - Italy
    shops:
      path: data/shops.parquet
      columns: {shop: int64, city: string}
  contract: contract.py:contract
  features:
    function: features.py:features
    entity: {name: customer, key: customer, type: int64}
    as_of: {first_after_days: 30, every_days: 30}
    views:
      customer:
        join_key: customer
        join_key_type: int64
        ttl_days: 45
        features:
          recency_days: float64
          shop: int64
      shop:
        join_key: shop
        join_key_type: int64
        join_key_from: customer
        features:
          visitors: int64
  training:
    train: train.py:train
    target: train.py:target
    metric: roc_auc
    horizon_days: 60
    test_share: 0.34
  serving:
    compute_profile: small
    golden_predictions: 16
    golden_tolerance: 1.0e-9
    timeout_seconds: 2
  thresholds: {quality: {min_improvement: 0.0, reason: it must beat guessing}}
"""

CODE = {
    "contract.py": "def contract():\n    return {}\n",
    "features.py": "raise RuntimeError('never imported')\n\n\ndef features(tables, as_of):\n    return {}\n",
    "train.py": "def train(x, y):\n    return None\n\n\ndef target(tables, as_of):\n    return None\n",
}


def local_topology() -> Topology:
    """The topology that ships for laptops."""
    return load_topology(TOPOLOGIES / "local.yaml")


def write_workload(folder: Path, *changes: tuple[str, str]) -> Path:
    """A sound workload in `folder`, with each `(old, new)` replaced in its `defs.yaml`; gives that file.

    `old` must be there exactly once, so that a change is never silently none.
    """
    text = SOUND.replace("name: churn", f"name: {folder.name}")
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in CODE.items():
        (folder / name).write_text(code)
    file = folder / "defs.yaml"
    file.write_text(text)
    return file


def marked_lines(file: Path) -> list[int]:
    """The numbers of the lines that a test marked as the faulty ones."""
    return [number for number, line in enumerate(file.read_text().splitlines(), 1) if MARK in line]
