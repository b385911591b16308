"""What the conformance suite runs a platform on: the platform, and who plays the part of its controller.

`local` has its own controller and real servers. The others' controllers are AWS and KServe, whose reports the tests make;
see `sagemaker_api.py` and `kserve_controller.py`, which say what that leaves open.
"""

import time
from decimal import Decimal
from shutil import copytree
from typing import Any, Protocol

from mcml_assets.domain.endpoint_access import ClusterEndpoints, PlatformName, SageMakerEndpoints, Shift
from mcml_assets.domain.topology import ComputeProfile, Credentials, Location, StoreAccess
from mcml_assets.domain.workload import Workload
from mcml_assets.serving.folder import DataPlaneFolder
from mcml_assets.serving.instance import find_instances
from mcml_assets.serving.interfaces import EndpointPlatform
from mcml_assets.serving.kserve.objects import object_name
from mcml_assets.serving.kserve.platform import KServePlatform
from mcml_assets.serving.local_platform import LocalEndpointPlatform
from mcml_assets.serving.manifest import inference_service
from mcml_assets.serving.package import PICKLED_MODEL
from mcml_assets.serving.sagemaker.objects import endpoint_name_at
from mcml_assets.serving.sagemaker.platform import SageMakerPlatform
from mcml_assets_tests.serving.platforms.kserve_controller import KServeController
from mcml_assets_tests.serving.platforms.sagemaker_api import SageMaker
from mcml_assets_tests.serving.served_shop import PRIMARY, WARM, Shop

REGION = PRIMARY.partition("/")[2]
CONTEXT = "eks-london"


class Bench(Protocol):
    """One platform with somebody who makes its endpoints start."""

    @property
    def name(self) -> PlatformName: ...

    @property
    def platform(self) -> EndpointPlatform: ...

    @property
    def location(self) -> str: ...

    @property
    def seconds(self) -> float:
        """How long an endpoint may take to get ready here."""
        ...

    def manifest(self, version: int, **changes: Any) -> dict[str, Any]:
        """The manifest of a sound package."""
        ...

    def refused_manifest(self) -> dict[str, Any]:
        """The manifest of a package that its server refuses: a bit of its model is flipped."""
        ...

    def start(self, name: str) -> None:
        """The servers of the wanted manifest get ready, now or soon."""
        ...

    def refuse(self, name: str) -> None:
        """The servers of the wanted manifest refuse their package, now or soon."""
        ...

    def stop(self, name: str) -> None:
        """What a cold standby leads to happens, now or soon."""
        ...

    def clean(self) -> None:
        """Nothing is wanted, and nothing runs any more."""
        ...


class LocalBench:
    """Real processes."""

    name: PlatformName = "local"
    seconds = 90.0

    def __init__(self, shop: Shop) -> None:
        self.shop, self.location = shop, WARM
        self.platform: EndpointPlatform = LocalEndpointPlatform(shop.settings)

    def manifest(self, version: int, **changes: Any) -> dict[str, Any]:
        return self.shop.manifest(self.location, version, **changes)

    def refused_manifest(self) -> dict[str, Any]:
        damaged = self.shop.settings.home / "damaged"
        copytree(self.shop.packages[2], damaged)
        model = damaged / PICKLED_MODEL
        model.write_bytes(bytes([model.read_bytes()[0] ^ 1]) + model.read_bytes()[1:])
        return self.shop.manifest(self.location, 2, package_uri=damaged.as_uri())

    def start(self, name: str) -> None:
        """The controller does it."""

    refuse = stop = start

    def clean(self) -> None:
        name, folder = f"shop@{self.location}", DataPlaneFolder.of(self.shop.settings)
        self.platform.delete(name)
        deadline = time.monotonic() + self.seconds
        # A server that still drains would be taken over by the next test.
        while any(instance.name == name for instance in find_instances(folder)):
            assert time.monotonic() < deadline, "a server does not end"
            time.sleep(0.1)


class InMemoryPackages:
    """Manifests of a workload whose packages no server of the test reads."""

    platform: EndpointPlatform

    def __init__(self, workload: Workload, location: str, bucket_uri: str) -> None:
        self.workload, self.location, self.bucket_uri = workload, location, bucket_uri

    def manifest(self, version: int, **changes: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "package_uri": f"{self.bucket_uri}/endpoints/shop/{version}",
            "features_uri": None,
            "model_version": version,
            "digest": str(version) * 64,
        }
        return inference_service(self.workload, self.workload.placed(self.location), **(arguments | changes))

    def refused_manifest(self) -> dict[str, Any]:
        return self.manifest(3)

    def clean(self) -> None:
        self.platform.delete(f"shop@{self.location}")


class ClusterBench(InMemoryPackages):
    """A cluster's API server, and KServe's reports."""

    seconds = 5.0

    def __init__(self, name: PlatformName, workload: Workload, namespace: str) -> None:
        super().__init__(workload, PRIMARY, "s3://mcml-london")
        self.name: PlatformName = name
        self.access = ClusterEndpoints(name, CONTEXT, namespace, "mcml-server", "registry.example.com/mcml-assets:1")
        self.kserve = KServePlatform(PRIMARY, self.access)
        self.platform = self.kserve
        self.controller = KServeController(self.kserve.cluster)

    def start(self, name: str) -> None:
        self.controller.ready(object_name(name))

    def refuse(self, name: str) -> None:
        self.controller.refused(object_name(name), "CorruptSnapshot", "3" * 64)

    def stop(self, name: str) -> None:
        # On Knative a cold standby is checked once on a server, and then scaled to none: it stays ready.
        if self.name == "kserve":
            self.controller.ready(object_name(name))
        else:
            self.controller.stopped(object_name(name))


class SageMakerBench(InMemoryPackages):
    """moto's server, and AWS's progress."""

    name: PlatformName = "sagemaker"
    seconds = 5.0

    def __init__(self, workload: Workload, aws: SageMaker) -> None:
        super().__init__(workload, PRIMARY, "s3://mcml-london")
        self.aws = aws
        access = self.access_at(aws.address)
        self.sagemaker = SageMakerPlatform(s3_location(access), access, poll_seconds=0.05)
        self.platform = self.sagemaker

    @staticmethod
    def access_at(address: str | None) -> SageMakerEndpoints:
        return SageMakerEndpoints(
            role_arn="arn:aws:iam::000000000000:role/mcml-sagemaker",
            image="000000000000.dkr.ecr.eu-west-2.amazonaws.com/mcml-assets:1",
            instance_type="ml.m5.large",
            alarms=("errors-high",),
            shift=Shift(10, 300, 300),
            address=address,
        )

    def start(self, name: str) -> None:
        self.aws.ready(endpoint_name_at(name))

    def refuse(self, name: str) -> None:
        self.aws.failed(endpoint_name_at(name))

    def stop(self, name: str) -> None:
        """Without an endpoint there is nothing to stop."""


def s3_location(access: SageMakerEndpoints) -> Location:
    credentials = Credentials("keys", {"access_key_id": "AKIATEST", "secret_access_key": "test"})
    store = StoreAccess("s3", access.address, allow_http=True, credentials=credentials)
    profiles = {"small": ComputeProfile("small", cpu=0.5, memory_gib=1)}
    return Location("aws", REGION, "UK", "mcml-london", Decimal("0.09"), "USD", profiles, store, endpoints=access)
