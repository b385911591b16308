"""A location is entered without any stored secret: by the identity that the cloud gives the pod or the machine."""

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import boto3
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials as KeyFile

from mcml_assets.clouds.registry import open_store
from mcml_assets.clouds.secrets import credential_value
from mcml_assets.configuration.settings import Settings
from mcml_assets.domain.errors import CredentialsRejected, LocationUnavailable
from mcml_assets.domain.topology import Credentials, Location, SecretReference
from mcml_assets.emulation.servers import Emulators
from mcml_assets_tests.clouds.answering import answering
from mcml_assets_tests.clouds.emulated_buckets import anonymous_location, make_bucket
from mcml_assets_tests.clouds.identity_service import identity_service
from mcml_assets_tests.clouds.test_credentials import make_role, nobody
from mcml_assets_tests.ports import free_port_range

__all__ = ["nobody"]

pytestmark = pytest.mark.live
SAS = "TEST_SAS"


def entered_by(place: Location, method: str, **values: str | SecretReference) -> Location:
    """The same location, entered in another way."""
    return replace(place, store=replace(place.store, credentials=Credentials(method, values)))


def works(place: Location) -> None:
    """The location's bucket is written, listed and read."""
    store = open_store(place, Settings())
    store.put("a/object", b"content")
    assert [meta.key for meta in store.list("a")] == ["a/object"]
    assert store.get("a/object") == b"content"


def temporary_keys(emulators: Emulators) -> dict[str, str]:
    """What AWS gives who assumed a role."""
    keys = emulators.owner_keys
    sts = boto3.client(
        "sts",
        region_name="eu-west-2",
        endpoint_url=emulators.endpoints["s3"],
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )
    return sts.assume_role(RoleArn=make_role(emulators), RoleSessionName="pod")["Credentials"]


def test_a_pod_of_aws_enters_by_its_identity(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """EKS Pod Identity and ECS hand temporary keys to a container, and S3 accepts them."""
    place = make_bucket("s3", emulators, monkeypatch.setenv)
    given = temporary_keys(emulators)
    answer = {
        "AccessKeyId": given["AccessKeyId"],
        "SecretAccessKey": given["SecretAccessKey"],
        "Token": given["SessionToken"],
        "Expiration": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }
    with identity_service({"/credentials": answer}) as address:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://{address}/credentials")
        works(entered_by(place, "workload_identity"))


def test_a_token_service_that_answers_nonsense_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """What stands between a pod of AWS and STS may answer anything: the location is unavailable, and the method is named."""
    (tmp_path / "token").write_text("a token that Kubernetes signed")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
    with identity_service({}) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://{address}")
        place = entered_by(anonymous_location("s3", f"http://{address}", monkeypatch.setenv), "workload_identity")
        with pytest.raises(CredentialsRejected, match=f"{place.key} .*no credentials by method 'workload_identity'"):
            open_store(place, Settings()).get("a")


def test_a_pod_of_google_enters_by_its_identity(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """The metadata server, as GKE's Workload Identity has it, gives tokens, and Cloud Storage accepts them."""
    place = make_bucket("gcs", emulators, monkeypatch.setenv)
    key = KeyFile.from_service_account_file(credential_value(place, "path"), scopes=["devstorage"])
    key.refresh(Request())
    account = "/computeMetadata/v1/instance/service-accounts/default/"
    answers = {
        f"{account}token": {"access_token": key.token, "expires_in": 3600, "token_type": "Bearer"},
        account: {"email": "pod@example.iam.gserviceaccount.com", "scopes": [], "aliases": ["default"]},
        "/computeMetadata/v1/project/project-id": "project",
        "/computeMetadata/v1/universe": "googleapis.com",
        "/": {},
    }
    with identity_service(answers) as address:
        monkeypatch.delenv("NO_GCE_CHECK")
        for name in ("GCE_METADATA_HOST", "GCE_METADATA_IP", "GCE_METADATA_ROOT"):
            monkeypatch.setenv(name, address)
        # Its default of 3 s is for a pod and its node, not for a busy machine that is both.
        monkeypatch.setenv("GCE_METADATA_TIMEOUT", "60")
        # google-auth reads these once in the life of a process, and another test's may have begun without them.
        # Started again when it fails, as Kubernetes does: now and then google-auth gives up on a token at the first request.
        for last in (False, False, True):
            with ProcessPoolExecutor(1, get_context("spawn")) as pod:
                failed = pod.submit(works, entered_by(place, "workload_identity")).exception()
            if failed is None:
                break
            assert isinstance(failed, CredentialsRejected), failed
            assert not last, failed


def test_a_managed_identity_of_azure_is_what_the_store_shows(monkeypatch: pytest.MonkeyPatch):
    """The token that Azure gives the machine goes with each request; Azurite takes none, so it is looked at on its way."""
    token = {"access_token": "a token of the machine", "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
    with identity_service({"/msi": token}) as address, answering("azure", free_port_range(1)) as service:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{address}/msi")
        monkeypatch.setenv("IDENTITY_HEADER", "this machine")
        service.status, service.code = 500, "InternalError"
        place = entered_by(anonymous_location("azure", service.url, monkeypatch.setenv), "managed_identity", client_id="mcml")
        with pytest.raises(LocationUnavailable):
            open_store(place, Settings()).get("a")
        assert {headers["authorization"] for _, _, headers, _ in service.requests} == {"Bearer a token of the machine"}


def sas(place: Location, permission: str, minutes: int) -> str:
    """A shared access signature for the location's container, valid until so many minutes from now."""
    return generate_container_sas(
        place.store.account or "",
        place.bucket,
        account_key=credential_value(place, "account_key"),
        permission=ContainerSasPermissions.from_string(permission),
        start=datetime.now(UTC) - timedelta(hours=1),
        expiry=datetime.now(UTC) + timedelta(minutes=minutes),
    )


def test_a_shared_access_signature_of_azure_opens_the_container(emulators: Emulators, monkeypatch: pytest.MonkeyPatch):
    """A signature that may read, write, list and delete does; one that has expired, or may only read, is told as such."""
    place = make_bucket("azure", emulators, monkeypatch.setenv)
    by_signature = entered_by(place, "sas", token=SecretReference(SAS))
    monkeypatch.setenv(SAS, f"?{sas(place, 'rwdl', 10)}")
    works(by_signature)
    monkeypatch.setenv(SAS, sas(place, "rl", 10))
    assert open_store(by_signature, Settings()).get("a/object") == b"content"
    with pytest.raises(CredentialsRejected, match=f"{place.key} is unavailable: 'a/object'.*lack a permission"):
        open_store(by_signature, Settings()).put("a/object", b"other")
    monkeypatch.setenv(SAS, sas(place, "rwdl", -10))
    with pytest.raises(CredentialsRejected, match=f"{place.key} is unavailable: 'a/object'.*have expired.*renew them"):
        open_store(by_signature, Settings()).get("a/object")
