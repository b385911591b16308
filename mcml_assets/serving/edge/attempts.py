"""What Envoy counts of predictions: each answer that a caller got, and each attempt of a location to give it. Pure.

Envoy itself knows times per route only. A prediction may be asked of several locations, so what counts for a location is
the attempt, not the answer that a caller got: a failure that a retry covered is still that location's failure. Reading
the counts is `traffic_counts.py`'s business.

Synthetic transactions are no predictions and are not counted: they come by another path.
"""

from mcml_assets.serving.edge.watched import EXTENSIONS, Json

PREFIX, HISTOGRAM = "edge_attempt", "milliseconds"
ANSWERS = "edge_answer"
METADATA = "mcml"
# Envoy's own, and more where the objectives of predictions lie; milliseconds.
BUCKETS = (1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 1500, 2000, 5000, 10000)
TAGS = {
    "route": "%UPSTREAM_CLUSTER_RAW%",
    "location": f"%METADATA(UPSTREAM_HOST:{METADATA}:location)%",
    "port": f"%METADATA(UPSTREAM_HOST:{METADATA}:port)%",
    # 0 where the location did not answer: it was given up, or another one was faster.
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
}

# The route is `-` where there is none.
ANSWER_TAGS = {name: TAGS[name] for name in ("route", "status")}


def attempt_log() -> Json:
    """The router's log of attempts, as a histogram. None of its tags is anything a caller sent."""
    return _histogram(PREFIX, TAGS)


def answer_log() -> Json:
    """The listener's log of answers, as a histogram: what a caller waited for, with all retries and hedges in it."""
    return _histogram(ANSWERS, ANSWER_TAGS)


def _histogram(prefix: str, tags: dict[str, str]) -> Json:
    stat = {"name": HISTOGRAM, "tags": [{"name": name, "value_format": value} for name, value in tags.items()]}
    predictions = {"name": ":path", "string_match": {"safe_regex": {"regex": r"[^?]*/infer(\?.*)?"}}}
    return {
        "name": "envoy.access_loggers.stats",
        "filter": {"header_filter": {"header": predictions}},
        "typed_config": {
            "@type": f"{EXTENSIONS}.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": prefix},
            "histograms": [{"stat": stat, "unit": "Milliseconds", "value_format": "%DURATION%"}],
        },
    }


def stats_config() -> Json:
    """The buckets of these histograms; all others keep Envoy's."""
    buckets = [float(bound) for bound in BUCKETS]
    return {
        "histogram_bucket_settings": [
            {"match": {"prefix": f"{prefix}.{HISTOGRAM}"}, "buckets": buckets} for prefix in (PREFIX, ANSWERS)
        ]
    }


def endpoint_metadata(location: str, port: int) -> Json:
    """By what an attempt knows whom it asked."""
    return {"filter_metadata": {METADATA: {"location": location, "port": str(port)}}}
