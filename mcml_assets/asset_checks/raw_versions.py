"""Raw data of two versions of the contract, compared row by row in the older version's form.

Copies of one landing have one snapshot id and are never read. Two locations hold different snapshots of one landing only
while each landed it under a version of its own; then the rows of both are digested, in the form that both have.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from mcml_assets.asset_checks.versions import shared_form
from mcml_assets.domain.contract import Form
from mcml_assets.domain.errors import ContractViolation
from mcml_assets.domain.snapshot import Manifest
from mcml_assets.domain.table_digest import TableDigest
from mcml_assets.snapshots.store import SnapshotStore


class RawVersions:
    """Answers whether two snapshots hold the same rows, and remembers it.

    `held` are the manifests by location, `open_at` opens the store that holds a location's.
    """

    def __init__(self, held: Mapping[str, Manifest], open_at: Callable[[str], SnapshotStore], scratch: Path) -> None:
        self._where = {manifest.snapshot_id: key for key, manifest in held.items()}
        self._held, self._open_at, self._scratch = held, open_at, scratch
        self._agreed: dict[tuple[str, str], bool] = {}
        self.problem: str | None = None

    def agree(self, one: str, other: str) -> bool:
        """Whether two snapshots of different versions hold the same rows; others with different ids never do.

        Raises `McmlError` when one of them cannot be read.
        """
        first, second = sorted((one, other))
        if (first, second) not in self._agreed:
            form = shared_form(*(self._held[self._where[content]] for content in (first, second)))
            self._agreed[first, second] = form is not None and self._same_rows(first, second, form)
        return self._agreed[first, second]

    def _same_rows(self, one: str, other: str, form: Form) -> bool:
        try:
            return self._digests(one, form) == self._digests(other, form)
        except ContractViolation as violation:
            # What the older version cannot say the older location does not hold.
            self.problem = str(violation)
            return False

    def _digests(self, content: str, form: Form) -> dict[str, TableDigest]:
        from mcml_assets.comparison.common_form import in_common_form  # noqa: PLC0415 - pyarrow, only where versions differ
        from mcml_assets.comparison.digest import digest_files  # noqa: PLC0415 - the same

        location = self._where[content]
        folder = self._scratch / content[:16]
        files = self._open_at(location).fetch(self._held[location], folder / "stored")
        brought = in_common_form(files, form, folder / "common")
        tables = {table: [file for path, file in brought.items() if path.startswith(f"{table}/")] for table in form}
        return {table: digest_files(parts) for table, parts in tables.items() if parts}
