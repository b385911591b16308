"""Two locations on different versions of the contract, as `parity` compares them: in the form of the older one.

Only where versions and columns differ; data of one form is compared as it is, without being read where that will do.
"""

from collections.abc import Mapping

from mcml_assets.asset_checks.contract_version import contract_version
from mcml_assets.domain.contract import Form, common_form, version_key
from mcml_assets.domain.snapshot import Manifest


def shared_form(one: Manifest, other: Manifest) -> Form | None:
    """The form in which two snapshots are compared; None where both have one form, or one version, and need no other."""
    if contract_version(one) == contract_version(other) or one.schema == other.schema:
        return None
    older, newer = sorted((one, other), key=lambda manifest: version_key(contract_version(manifest)))
    return common_form(older.schema, newer.schema)


def versions_told(held: Mapping[str, Manifest]) -> dict[str, str]:
    """What a report says of the versions: nothing where all are one."""
    versions = sorted({contract_version(manifest) for manifest in held.values()}, key=version_key)
    return {"compared_in_version": versions[0], "versions": ", ".join(versions)} if len(versions) > 1 else {}
