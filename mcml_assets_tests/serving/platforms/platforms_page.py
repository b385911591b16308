"""The page `deploy/docs/platforms.md`: what each endpoint platform and traffic adapter can do, what proves it, and what not.

`python -m mcml_assets_tests.serving.platforms.platforms_page` writes it; a test fails while it is stale.
"""

from collections.abc import Iterator
from pathlib import Path

from mcml_assets.configuration.settings import PROJECT_ROOT
from mcml_assets.domain.endpoint_access import MEANINGS, PLATFORM_NAMES, EndpointCapability, endpoint_capabilities
from mcml_assets_tests.serving.platforms.test_conformance import PROOFS

PAGE = PROJECT_ROOT / "deploy" / "docs" / "platforms.md"

INTRODUCTION = """\
# Where endpoints run, and who sends callers to them

Made from `mcml_assets/domain/endpoint_access.py` and `mcml_assets_tests/serving/platforms/platforms_page.py` by
`python -m mcml_assets_tests.serving.platforms.platforms_page`: change those.

A location's endpoints run where its `endpoints` block in the topology says: processes of this machine (`local`, without a
block), a Kubernetes cluster with KServe on Knative (`kserve`) or on plain Deployments (`kserve-standard`), or Amazon
SageMaker (`sagemaker`). All take one manifest, a KServe InferenceService. A workload that needs what a platform lacks
(`serving.needs` in its `defs.yaml`) does not load. `topologies/production.yaml` shows every key, and the rights that each
platform needs.

## What a platform can do

One conformance suite runs over all of them (`mcml_assets_tests/serving/platforms/test_conformance.py`); each line names
the test that proves it on every platform with a "yes".
"""

PROVED = """\
## What that proves, and what not

| platform | tested against | so this is shown | and this is not |
| --- | --- | --- | --- |
| `local` | its own controller and real model servers | everything, with real predictions | |
| `kserve`, `kserve-standard` | the real Kubernetes client, over HTTP, against a strict API server of the tests; with \
`make test-k8s` against a real kube-apiserver with etcd | requests, conditional writes, conflicts, watches and refusals; that \
KServe's schema takes every object with no field unknown to it, and that Kubernetes takes its container in a pod; what follows \
from every status that KServe reports | any container: no kubelet and no KServe controller runs, the tests write the \
status as KServe would. That a ready object's server checked its digest and golden predictions rests on the readiness \
probe in the manifest and on the model server's own tests. KServe's admission webhooks; shares of requests in a real \
Knative; EKS, GKE and AKS themselves, and their ways to log in |
| `sagemaker` | boto3 against moto's server | models, configurations, endpoints, tags, deletion; every request judged by \
AWS's own description, which boto3 carries | a container started by SageMaker. \
moto knows no `UpdateEndpoint`: the tests add it, with the states that AWS \
documents; that an alarm rolls back, and how requests shift, is AWS's word. \
Why a server refused its package: SageMaker does not pass it on |

The small API server differs from a real one: it holds InferenceServices alone, in memory, refuses a field that the schema
does not know (a real one drops it in silence), knows two tokens with fixed rights, and no patch, finalizers, webhooks or
defaults. The real one of `make test-k8s` is Kubernetes 1.20, built from Debian's source by
`deploy/kubernetes/build-api-server.sh`: old, and without CEL rules.

## Gateways: how the edge reaches a platform elsewhere

To the edge a location is a server of this machine, wherever its model runs. For a platform elsewhere that server is a
*gateway*: it reads the location's features from the online store, sends rows (one tensor for each model input, and never
who is asked about) to the InferenceService or the SageMaker endpoint, and keeps the prediction in the location's own log.
Health checks, retries, hedging, metrics, traces, synthetic transactions and `parity` are those of any server, because the
gateway is one: it is ready only while the golden predictions come back right from the platform, asked each second.

- **KServe** is asked at the InferenceService's own URL, or at `ingress` under the name of that URL's host, by which its
  certificate is judged (`authority` for one that the machine does not know). A request without TLS is refused beyond loopback.
- **SageMaker** is asked by `InvokeEndpoint`, signed with the location's credentials, which are had anew every four minutes.
- **The package** is put as a folder into the location's own bucket (`endpoints/<workload>/<digest>/`) by the `endpoint`
  asset, and removed when neither wanted nor kept for rollback. KServe's storage initializer or SageMaker brings it to the
  server, which refuses to start on another digest and is ready only when its golden predictions pass.
- **A gateway answers for one version.** While a platform goes from one version to the next, the edge asks another location
  until the next gateway, which waits beside the former for as long as the platform takes, is ready: about two seconds, in
  which a workload with one location is not answered. For the same reason shares of requests that Knative gives a version are
  not for callers of the edge, and rollouts by steps are this machine's only.
- **A trace goes on** to the model: to KServe as `traceparent`, to SageMaker, which drops headers, as a custom attribute that
  its container reads.
- **Gateways run where the edge runs**, and there a location's features must be: the folder that `feature_snapshot` fills.

A test asks a real Envoy, whose gateways ask real model servers: one behind TLS under another host's name, one behind a
server that judges each signature (SigV4) by botocore's own algorithm. One of them changes its version under load, then is
killed, and no request is lost. Unverified: a real ingress (Istio, Kourier, a cloud's balancer) and callers' tokens in front
of it, which are not sent; SageMaker's own runtime, its limits and its `ModelError`.

**SageMaker's containers** start as `python -m mcml_assets.serving.sagemaker.container serve`, which must be the image's
entry point; a test starts it so, and asks `/ping` and `/invocations`. The image itself is not built here.

"""

TRAFFIC = """\
## Global load balancing

`traffic` in the topology names, by jurisdiction and workload, where the edge's route is published as well. `traffic_route`
publishes it after the edge obeys it; one that fails is told in the asset's metadata and by the check `global_traffic`,
which alerts, and never holds up the edge. `mcml traffic publish --dry-run` prints the requests that would be sent.

| service | what is published | who wins a race | tested against | unverified |
| --- | --- | --- | --- | --- |
| Route 53 | failover records in the route's order, weights within one priority, HTTPS health checks that ask each edge for \
readiness, the epoch in a TXT record | one batch removes the TXT record that was read and makes the new one, so Route 53 \
refuses the slower of two writers. moto does not: an expected failure in the suite, on record | moto's server | that Route \
53 takes the batches (aliases among CNAME records of one zone), and what its checkers do |
| Google Cloud load balancing | the weights of a URL map's path matcher; locations behind the first get none until a route \
puts them first; the epoch in the matcher's description | the URL map's fingerprint: the slower of two writers is refused | \
Google's own client against a server that judges every request by Google's published description (the discovery document \
that the client carries) | everything else: no request reached Google. That the balancer takes the map |
| Azure Traffic Manager | a profile with priorities, or with weights where all have one priority; the epoch in a tag | \
**nobody**: Azure takes no condition with a profile. Of two writers between the same reading and writing the older epoch \
may win; the check `global_traffic` sees it, and the next publication sets it right | Azure's own client against a server \
that judges every body by the client's generated types | everything else: no request reached Azure |
| Azure Front Door, Standard and Premium | an origin group for each route, with the route's priorities and weights, HTTPS \
probes that ask each edge for readiness, the epoch in the group's name; one change of Front Door's route lets callers come to \
it; the group before is kept | **nobody**, as with Traffic Manager | Azure's own client against a server that judges every \
body by the client's generated types | everything else: no request reached Azure. How long its places take to learn of a \
change |

An older epoch is refused everywhere when it is read (`StaleEpoch`). Azure generates the types of its clients from its
published descriptions; the descriptions themselves are not in the tests.
"""


def render() -> str:
    """The page's text."""
    return "\n".join([INTRODUCTION, *_table(), "", PROVED + TRAFFIC.rstrip("\n"), ""])


def _table() -> Iterator[str]:
    yield f"| | {' | '.join(f'`{name}`' for name in PLATFORM_NAMES)} | proof |"
    yield f"| --- |{' --- |' * len(PLATFORM_NAMES)} --- |"
    for capability in EndpointCapability:
        has = " | ".join("yes" if capability in endpoint_capabilities(name) else "no" for name in PLATFORM_NAMES)
        proof = f"`{PROOFS[capability]}`" if capability in PROOFS else "declared by nobody"
        yield f"| `{capability.value}`: {MEANINGS[capability]} | {has} | {proof} |"


def write(page: Path = PAGE) -> None:
    """Write the page."""
    page.write_text(render())


if __name__ == "__main__":
    write()
