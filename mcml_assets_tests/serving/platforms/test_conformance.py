"""What every endpoint platform promises, asked of each of them; what only some can do is asked of those."""

from collections.abc import Callable
from typing import Any

import pytest

from mcml_assets.domain.endpoint_access import PLATFORM_NAMES, EndpointCapability, endpoint_capabilities
from mcml_assets.domain.errors import ConfigurationError, LocationUnavailable, PermanentError, TransientError
from mcml_assets.serving.interfaces import EndpointState, EndpointStatus
from mcml_assets.serving.kserve.objects import object_name
from mcml_assets.serving.manifest import read_manifest
from mcml_assets.serving.sagemaker.objects import endpoint_name_at
from mcml_assets_tests.serving.platforms.benches import Bench, ClusterBench, SageMakerBench

pytestmark = pytest.mark.live

# The promise that proves a capability.
PROOFS = {
    EndpointCapability.ROLLBACK: "test_the_former_version_is_kept_and_can_answer_again",
    EndpointCapability.BLUE_GREEN: "test_the_former_version_answers_until_the_new_one_is_ready",
    EndpointCapability.COLD_STANDBY: "test_a_cold_standby_is_held_and_starts_on_demand",
    EndpointCapability.REFUSAL_REASONS: "test_a_refused_package_is_told_by_its_reason",
    EndpointCapability.CANARY_WEIGHTS: "test_a_canary_gets_its_share_and_is_taken_back",
    EndpointCapability.SCALE_TO_ZERO: "test_a_cold_standby_may_have_no_server_and_starts_by_itself",
    EndpointCapability.ALARM_ROLLBACK: "test_an_alarm_takes_an_update_back",
}


def name_of(bench: Bench) -> str:
    return f"shop@{bench.location}"


def digest_of(manifest: dict[str, Any]) -> str:
    return read_manifest(manifest).digest


def serve(bench: Bench, manifest: dict[str, Any]) -> EndpointStatus:
    """Want a manifest until it answers."""
    bench.platform.apply(manifest)
    bench.start(name_of(bench))
    return bench.platform.wait_ready(name_of(bench), digest_of(manifest), bench.seconds)


def only_with(*capabilities: EndpointCapability) -> pytest.MarkDecorator:
    """Run a test on exactly the platforms that declare these."""
    having = [name for name in PLATFORM_NAMES if endpoint_capabilities(name).issuperset(capabilities)]
    return pytest.mark.parametrize("bench", having, indirect=True)


def test_every_declared_capability_is_proved() -> None:
    """A capability that some platform declares has its test here; one without a test is declared by nobody."""
    declared = frozenset[EndpointCapability]().union(*(endpoint_capabilities(name) for name in PLATFORM_NAMES))
    assert declared == PROOFS.keys()
    assert all(callable(globals()[proof]) for proof in PROOFS.values())


def test_what_is_not_wanted_is_stopped(bench: Bench) -> None:
    """Of an endpoint that nobody wanted nothing runs, nothing is kept, and deleting it is no error."""
    name = name_of(bench)
    bench.platform.delete(name)
    assert bench.platform.status(name).state is EndpointState.STOPPED
    assert bench.platform.former(name) is None
    assert bench.platform.kept_packages(name) == frozenset()
    assert not bench.platform.status(name).healthy


def test_a_wanted_endpoint_gets_ready_and_says_what_answers(bench: Bench) -> None:
    """The wanted package answers, under its version and digest, at an address; asking again changes nothing."""
    manifest = bench.manifest(1)
    status = serve(bench, manifest)
    assert (status.state, status.version, status.wanted_version) == (EndpointState.READY, 1, 1)
    assert status.digest == digest_of(manifest)
    assert status.address
    bench.platform.apply(manifest)
    again = bench.platform.wait_ready(name_of(bench), digest_of(manifest), bench.seconds)
    assert (again.version, again.since) == (1, status.since)
    assert bench.platform.former(name_of(bench)) is None


def test_time_is_bounded(bench: Bench) -> None:
    """Waiting for an endpoint that is not ready ends with an error that allows a retry, and nothing is claimed ready."""
    manifest = bench.manifest(1)
    bench.platform.apply(manifest)
    if isinstance(bench, SageMakerBench):
        bench.aws.starting(endpoint_name_at(name_of(bench)))  # moto is ready at once
    with pytest.raises(TransientError, match="not ready after 0 s"):
        bench.platform.wait_ready(name_of(bench), digest_of(manifest), 0)
    assert not bench.platform.status(name_of(bench)).healthy
    # SageMaker deletes nothing that is under way.
    bench.start(name_of(bench))


def test_waiting_for_another_package_is_a_mistake(bench: Bench) -> None:
    """Waiting for a digest that the manifest does not want would never end, so it fails at once."""
    bench.platform.apply(bench.manifest(1))
    with pytest.raises(ConfigurationError, match="waiting for package cccccccccccc"):
        bench.platform.wait_ready(name_of(bench), "c" * 64, 60)


def test_a_foreign_manifest_is_refused(bench: Bench) -> None:
    """A manifest without the platform's annotations is refused, and wants nothing."""
    with pytest.raises(ConfigurationError, match="InferenceService of this platform"):
        bench.platform.apply({"kind": "InferenceService", "metadata": {"name": "shop"}})
    assert bench.platform.status(name_of(bench)).state is EndpointState.STOPPED


@only_with(EndpointCapability.BLUE_GREEN)
def test_the_former_version_answers_until_the_new_one_is_ready(bench: Bench) -> None:
    """Between the wish and the new servers' readiness the status says who answers: the version before."""
    first, second = bench.manifest(1), bench.manifest(2)
    serve(bench, first)
    bench.platform.apply(second)
    between = bench.platform.status(name_of(bench))
    assert (between.healthy, between.wanted_version, between.version, between.digest) == (False, 2, 1, digest_of(first))
    bench.start(name_of(bench))
    after = bench.platform.wait_ready(name_of(bench), digest_of(second), bench.seconds)
    assert (after.version, after.digest) == (2, digest_of(second))


@only_with(EndpointCapability.ROLLBACK)
def test_the_former_version_is_kept_and_can_answer_again(bench: Bench) -> None:
    """What answered before is known as a manifest, its package is kept, and wanting it again makes it answer."""
    first, second = bench.manifest(1), bench.manifest(2)
    serve(bench, first)
    serve(bench, second)
    former = bench.platform.former(name_of(bench))
    assert former is not None
    assert read_manifest(former) == read_manifest(first)
    assert bench.platform.kept_packages(name_of(bench)) == {digest_of(first), digest_of(second)}
    status = serve(bench, dict(former))
    assert (status.version, status.digest) == (1, digest_of(first))


@only_with(EndpointCapability.COLD_STANDBY)
def test_a_cold_standby_is_held_and_starts_on_demand(bench: Bench) -> None:
    """A cold endpoint is as it should be with nothing answering; wanted to run, it answers."""
    cold = bench.manifest(1, running=False)
    bench.platform.apply(cold)
    bench.stop(name_of(bench))
    status = bench.platform.wait_ready(name_of(bench), digest_of(cold), bench.seconds)
    assert (status.state, status.healthy, status.version) == (EndpointState.COLD, True, None)
    assert bench.platform.kept_packages(name_of(bench)) == {digest_of(cold)}
    assert serve(bench, bench.manifest(1)).state is EndpointState.READY


@only_with(EndpointCapability.REFUSAL_REASONS)
def test_a_refused_package_is_told_by_its_reason(bench: Bench) -> None:
    """A server that refuses its package is no outage: waiting ends with the server's own reason, at once."""
    refused = bench.refused_manifest()
    bench.platform.apply(refused)
    bench.refuse(name_of(bench))
    with pytest.raises(PermanentError) as raised:
        bench.platform.wait_ready(name_of(bench), digest_of(refused), bench.seconds)
    assert type(raised.value).__name__ == "CorruptSnapshot"
    assert bench.platform.status(name_of(bench)).state is EndpointState.FAILED


@only_with(EndpointCapability.CANARY_WEIGHTS)
def test_a_canary_gets_its_share_and_is_taken_back(bench: Bench) -> None:
    """A new version gets a share beside the one before; taken back, the one before answers all; promoted, the new one."""
    assert isinstance(bench, ClusterBench)
    first, second, name = bench.manifest(1), bench.manifest(2), name_of(bench)
    serve(bench, first)

    def share() -> object:
        present = bench.kserve.cluster.get(object_name(name))
        assert present is not None
        return present["spec"]["predictor"].get("canaryTrafficPercent")

    bench.kserve.shift(second, 20)
    bench.start(name)
    status = bench.platform.wait_ready(name, digest_of(second), bench.seconds)
    assert (share(), status.version, status.message) == (20, 1, "a canary of 20 %; the version before answers the rest")
    bench.kserve.roll_back(name)
    bench.start(name)
    status = bench.platform.status(name)
    assert (share(), status.healthy, status.version) == (0, False, 1)
    bench.kserve.apply(second)
    bench.start(name)
    status = bench.platform.wait_ready(name, digest_of(second), bench.seconds)
    assert (share(), status.version) == (None, 2)
    bench.kserve.roll_back(name)
    assert bench.platform.status(name).wanted_version == 1


def test_a_share_is_refused_where_nobody_can_give_it(benches: Callable[[str], Bench]) -> None:
    """KServe without Knative would send a canary everything, so it is not asked to."""
    bench = benches("kserve-standard")
    assert isinstance(bench, ClusterBench)
    with pytest.raises(ConfigurationError, match="cannot give a version a share"):
        bench.kserve.shift(bench.manifest(1), 20)


@only_with(EndpointCapability.SCALE_TO_ZERO)
def test_a_cold_standby_may_have_no_server_and_starts_by_itself(bench: Bench) -> None:
    """A cold standby is an object that Knative may scale to none, and scales up because a request came."""
    assert isinstance(bench, ClusterBench)
    bench.platform.apply(bench.manifest(1, running=False))
    present = bench.kserve.cluster.get(object_name(name_of(bench)))
    assert present is not None
    assert present["spec"]["predictor"]["minReplicas"] == 0
    assert present["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Serverless"


@only_with(EndpointCapability.ALARM_ROLLBACK)
def test_an_alarm_takes_an_update_back(bench: Bench) -> None:
    """An update names the alarms that stop it; stopped, the version before answers, the endpoint is not called healthy,
    and it can be tried again.
    """
    assert isinstance(bench, SageMakerBench)
    name, second = name_of(bench), bench.manifest(2)
    serve(bench, bench.manifest(1))
    bench.platform.apply(second)
    asked = bench.aws.update_of(endpoint_name_at(name))["deployment"]
    assert asked["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors-high"}]}
    assert asked["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]["CanarySize"] == {
        "Type": "CAPACITY_PERCENT",
        "Value": 10,
    }
    bench.aws.alarm(endpoint_name_at(name))
    assert bench.platform.status(name).state is EndpointState.FAILED
    bench.aws.rolled_back(endpoint_name_at(name))
    with pytest.raises(LocationUnavailable, match="alarm errors-high rose"):
        bench.platform.wait_ready(name, digest_of(second), bench.seconds)
    assert bench.platform.status(name).version == 1
    assert serve(bench, second).version == 2


def test_a_deleted_endpoint_is_gone(bench: Bench) -> None:
    """After a deletion nothing is wanted, nothing is kept, and nobody answers."""
    serve(bench, bench.manifest(1))
    bench.clean()
    status = bench.platform.status(name_of(bench))
    assert (status.state, status.version, status.address) == (EndpointState.STOPPED, None, None)
    assert bench.platform.former(name_of(bench)) is None
    assert bench.platform.kept_packages(name_of(bench)) == frozenset()
