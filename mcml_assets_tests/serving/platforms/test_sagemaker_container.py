"""Promise of the container: what SageMaker asks is answered by the model server, started as SageMaker starts it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from mcml_assets.serving.manifest import PACKAGE_MOUNT
from mcml_assets.serving.package import golden_inputs, read_package
from mcml_assets.serving.row_tensors import row_tensors
from mcml_assets.serving.sagemaker.objects import ARGUMENTS, PACKAGE_FOLDER, model_request
from mcml_assets_tests.ports import free_ports
from mcml_assets_tests.serving.platforms.benches import SageMakerBench, s3_location
from mcml_assets_tests.serving.served_shop import CUSTOMER, PRIMARY, build_shop

START_SECONDS = 90.0


@pytest.mark.live
def test_sagemaker_is_answered(tmp_path: Path) -> None:
    """Started with `serve` and the model's environment alone, the container is ready by `/ping` once its package gave the
    golden predictions, and scores what is sent to `/invocations`: a prediction as any other, counted, and logged by its trace.
    """
    shop = build_shop(tmp_path, versions=1)
    access = SageMakerBench.access_at(None)
    assert s3_location(access).endpoints == access
    manifest = shop.manifest(PRIMARY, 1, package_uri="s3://mcml-london/endpoints/shop/1", features_uri=None)
    environment = model_request(manifest, access)["PrimaryContainer"]["Environment"]
    arguments = json.loads(environment[ARGUMENTS])
    assert PACKAGE_MOUNT not in arguments
    assert "--features" not in arguments
    # This machine has no /opt/ml.
    here = {PACKAGE_FOLDER: str(shop.packages[1])}
    (port,) = free_ports(1)
    moved = [here.get(argument, argument) for argument in arguments] + ["--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcml_assets.serving.sagemaker.container", "serve"],
            env={"PATH": os.defpath, **environment, ARGUMENTS: json.dumps(moved)},
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            deadline = time.monotonic() + START_SECONDS
            while True:
                try:
                    ready = client.get("/ping")
                    break
                except httpx.TransportError:
                    assert process.poll() is None, (tmp_path / "server.log").read_text()
                    assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
                    time.sleep(0.2)
            assert ready.status_code == 200
            package = read_package(shop.packages[1])
            body = {"inputs": row_tensors(golden_inputs(package), package.schema.model_inputs)}
            answer = client.post("/invocations", json=body)
            assert answer.status_code == 200, answer.text
            assert answer.json()["parameters"]["digest"] == shop.digest(1)
            assert answer.json()["outputs"][0]["data"] == pytest.approx(package.golden.predictions)
            entity = {"inputs": [{"name": "customer_id", "datatype": "INT64", "shape": [1], "data": [CUSTOMER]}]}
            assert client.post("/invocations", json=entity).json()["type"] == "urn:mcml:invalid-request"
            assert client.get("/pong").status_code == 404
            trace = f"{7:032x}"
            attributes = {"x-amzn-sagemaker-custom-attributes": f"traceparent=00-{trace}-{8:016x}-01"}
            assert client.post("/invocations", json=body, headers=attributes).status_code == 200
            assert trace in (tmp_path / "server.log").read_text()
            assert 'mcml_endpoint_requests_total{status="200",verb="infer"} 2.0' in client.get("/metrics").text
    finally:
        process.terminate()
        process.wait(timeout=30)
