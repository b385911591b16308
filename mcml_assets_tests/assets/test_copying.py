"""What a run tells of a copy while it lasts; what it tells afterwards is in `emulation/test_whole_workload.py`."""

import dagster as dg
import pytest

from mcml_assets.assets import copying


def test_a_long_copy_says_every_few_seconds_how_far_it_is(monkeypatch: pytest.MonkeyPatch):
    """The run's log has a line every five seconds, whatever the number of calls, and none for a copy that takes less."""
    now = 0.0
    monkeypatch.setattr(copying, "monotonic", lambda: now)

    @dg.asset
    def copied(context: dg.AssetExecutionContext) -> None:
        nonlocal now
        tell = copying.progress_lines(context)
        for tenth in range(201):
            now = tenth / 10
            tell(tenth * 10**6, 200 * 10**6)

    instance = dg.DagsterInstance.ephemeral()
    run = dg.materialize([copied], instance=instance)
    lines = [entry.user_message for entry in instance.all_logs(run.run_id) if entry.user_message.endswith("%)")]
    assert lines == [f"copied {mb} of 200 MB ({share} %)" for mb, share in ((50, 25), (100, 50), (150, 75), (200, 100))]
