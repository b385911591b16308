"""Each mistake one can make in `defs.yaml`: the change that makes it, its line marked, and what is said about it."""

LOCATION = "- location: aws/eu-west-2\n"
STANDBY = "{location: gcp/europe-west2, standby: warm}\n"
KEY = "        join_key: shop\n        join_key_type: int64\n"

# What is written, by which change, with the faulty lines marked; and what is said about each of them.
MISTAKES = {
    "unknown region": (
        (LOCATION, "- location: aws/eu-west-3 #!\n"),
        "placements.UK[0].location: unknown region 'eu-west-3' of aws; did you mean 'aws/eu-west-2'?",
    ),
    "unknown cloud": (
        (LOCATION, "- location: awz/eu-west-2 #!\n"),
        "placements.UK[0].location: unknown location 'awz/eu-west-2'; did you mean 'aws/eu-west-2'?",
    ),
    "location twice": (
        (STANDBY, "{location: aws/eu-west-2, standby: warm} #!\n"),
        "placements.UK[1].location: 'aws/eu-west-2' is listed twice, first at placements.UK[0]",
    ),
    "empty placement": (
        (f"UK:\n      {LOCATION}      - {STANDBY}", "UK: [] #!\n"),
        "placements.UK: is empty: at least one is needed",
    ),
    "outside the jurisdiction": (
        (STANDBY, "{location: azure/eastus, standby: warm} #!\n"),
        (
            "placements.UK[1].location: 'azure/eastus' lies in US: data would leave UK, where it belongs; "
            "lawful are 'aws/eu-west-2', 'azure/uksouth', 'gcp/europe-west2'"
        ),
    ),
    "capability that the platform lacks": (
        ("compute_profile: small\n", "compute_profile: small\n    needs: [rollback, canary_weights] #!\n"),
        (
            "serving.needs[1]: endpoint platform 'local' has no 'canary_weights', and runs the endpoints of "
            "aws/eu-west-2, gcp/europe-west2, azure/westeurope, aws/eu-central-1; platforms that have it: kserve"
        ),
    ),
    "capability that nobody has": (
        ("compute_profile: small\n", "compute_profile: small\n    needs: [shadow] #!\n"),
        (
            "serving.needs[0]: endpoint platform 'local' has no 'shadow', and runs the endpoints of "
            "aws/eu-west-2, gcp/europe-west2, azure/westeurope, aws/eu-central-1; no platform has it"
        ),
    ),
    "unknown capability": (
        ("compute_profile: small\n", "compute_profile: small\n    needs: [canary_weight] #!\n"),
        "serving.needs[0]: unknown value 'canary_weight'; did you mean 'canary_weights'?",
    ),
    "objective that allows no failure": (
        ("compute_profile: small\n", "compute_profile: small\n    objectives: {availability: 1} #!\n"),
        "serving.objectives.availability: must be less than 1 (it is 1)",
    ),
    "misspelt objective": (
        ("compute_profile: small\n", "compute_profile: small\n    objectives: {latency: {millisecond: 100}} #!\n"),
        "serving.objectives.latency.millisecond: unknown key; did you mean 'milliseconds'?",
    ),
    "steps that do not end with all": (
        ("compute_profile: small\n", "compute_profile: small\n    rollout: {steps: [50, 25]} #!\n"),
        "serving.rollout: steps [50, 25] must rise and end with 100",
    ),
    "canary that is placed nowhere": (
        ("compute_profile: small\n", "compute_profile: small\n    rollout: {steps: [100], canaries: [gcp/europe-west3]} #!\n"),
        "serving.rollout.canaries[0]: 'gcp/europe-west3' is in no placement; did you mean 'gcp/europe-west2'?",
    ),
    "canary that runs nothing": (
        ("compute_profile: small\n", "compute_profile: small\n    rollout: {steps: [100], canaries: [aws/eu-central-1]} #!\n"),
        "serving.rollout.canaries[0]: 'aws/eu-central-1' is a cold standby and runs no server that could be judged",
    ),
    "objective that no step can miss": (
        (
            "serving:\n    compute_profile: small\n",
            "serving: #!\n    compute_profile: small\n    rollout: {steps: [100]}\n    objectives: {availability: 0.9}\n",
        ),
        (
            "serving: objectives.availability (0.9) must be above 0.9306 with rollout.steps: below it no share of bad "
            "answers burns the budget at 14.4 times its rate, and no step could ever fail"
        ),
    ),
    "slow only when it is late": (
        (
            "serving:\n    compute_profile: small\n",
            "serving: #!\n    compute_profile: small\n    objectives: {latency: {milliseconds: 2000}}\n",
        ),
        (
            "serving: objectives.latency.milliseconds (2000) must be below timeout_seconds (2000 ms): what takes longer than "
            "the timeout is no slow answer, but none"
        ),
    ),
    "unknown reference of drift": (
        ("{quality: {min_improvement: 0.0, reason: it must beat guessing}}\n", "{drift: {reference: trainng}} #!\n"),
        "thresholds.drift.reference: unknown value 'trainng'; did you mean 'training'?",
    ),
    "second threshold below the first": (
        ("{quality: {min_improvement: 0.0, reason: it must beat guessing}}\n", "{drift: {warn: 0.3, error: 0.2}} #!\n"),
        "thresholds.drift: error (0.2) must not be below warn (0.3)",
    ),
    "segment that is no feature": (
        ("min_improvement: 0.0,", "segments: [recency_day], #!\n"),
        "thresholds.quality.segments[0]: no view has a feature 'recency_day'; did you mean 'recency_days'?",
    ),
    "segment for each customer": (
        ("min_improvement: 0.0,", "segments: [customer], #!\n"),
        "thresholds.quality.segments[0]: 'customer' is a key, and every row would be a segment: name a feature",
    ),
    "thresholds without a reason": (
        ("{quality: {min_improvement: 0.0, reason: it must beat guessing}}\n", "{quality: {served_margin: 0.05}} #!\n"),
        "thresholds.quality.reason: this key is missing",
    ),
    "unknown jurisdiction": (
        ("    UK:\n", "    UKK: #!\n"),
        "placements.UKK: unknown jurisdiction; did you mean 'UK'?",
    ),
    "first as standby": (
        (LOCATION, "- location: aws/eu-west-2\n        standby: warm #!\n"),
        "placements.UK[0].standby: the first location is the primary and no standby: remove this key",
    ),
    "standby without role": (
        (STANDBY, "location: gcp/europe-west2 #!\n"),
        "placements.UK[1]: 'gcp/europe-west2' is a standby: add standby: 'warm' or 'cold'",
    ),
    "bad role": (
        ("standby: cold\n", "standby: colt #!\n"),
        "placements.EU[1].standby: unknown value 'colt'; did you mean 'cold'?",
    ),
    "missing function file": (
        ("features.py:features\n", "feature.py:features #!\n"),
        "features.function: there is no file 'feature.py' beside defs.yaml; did you mean 'features.py'?",
    ),
    "missing function": (
        ("train.py:target\n", "train.py:tarket #!\n"),
        "training.target: train.py has no function 'tarket'; did you mean 'target'?",
    ),
    "function without file": (
        ("contract: contract.py:contract\n", "contract: contract #!\n"),
        r"contract: 'contract' does not match ^[A-Za-z_][A-Za-z0-9_]*\.py:[A-Za-z_][A-Za-z0-9_]*$",
    ),
    "misspelt key": (
        ("  managed_services: []\n", "  managed_service: [] #!\n"),
        "managed_service: unknown key; did you mean 'managed_services'?",
    ),
    "misspelt key that is required": (
        ("  owner: ", "  ownr: #!\n    "),
        "ownr: unknown key; did you mean 'owner'?",
    ),
    "misspelt key, deep": (
        ("ttl_days: 45\n", "ttl_day: 45 #!\n"),
        "features.views.customer.ttl_day: unknown key; did you mean 'ttl_days'?",
    ),
    "missing key": (
        (
            "training:\n    train: train.py:train\n    target: train.py:target\n    metric: roc_auc\n",
            "training: #!\n    train: train.py:train\n    target: train.py:target\n",
        ),
        "training.metric: this key is missing",
    ),
    "RTO of zero": (
        ("rto_seconds: 60\n", "rto_seconds: 0 #!\n"),
        "rto_seconds: must be greater than 0 (it is 0)",
    ),
    "negative RPO": (
        ("rpo_seconds: 3600\n", "rpo_seconds: -1 #!\n"),
        "rpo_seconds: must be greater than 0 (it is -1)",
    ),
    "bad classification": (
        ("classification: confidential\n", "classification: confidental #!\n"),
        "classification: unknown value 'confidental'; did you mean 'confidential'?",
    ),
    "owner that Dagster refuses": (
        ("retail@example.com\n", "retail #!\n"),
        r"owner: 'retail' does not match ^([^@\s]+@[^@\s]+\.[^@\s]+|team:[A-Za-z0-9_-]+)$",
    ),
    "cron out of range": (
        ('cron: "0 * * * *"\n', 'cron: "61 * * * *" #!\n'),
        "cron: '61' is no minute: numbers from 0 to 59, as in '*', '5', '1-5', '*/2', '1,3'",
    ),
    "cron with four fields": (
        ('cron: "0 * * * *"\n', 'cron: "0 * * *" #!\n'),
        "cron: '0 * * *' has 4 fields; cron has five, such as '0 * * * *'",
    ),
    "cron word": (
        ('cron: "0 * * * *"\n', 'cron: "@dayly" #!\n'),
        "cron: unknown cron word '@dayly'; did you mean '@daily'?",
    ),
    "cron that never comes": (
        ('cron: "0 * * * *"\n', 'cron: "0 0 30 2 *" #!\n'),
        "cron: '0 0 30 2 *' never comes: no such month has a day 30",
    ),
    "event time that is no column": (
        ("event_time: time\n", "event_time: times #!\n"),
        "sources.visits.event_time: the source has no column 'times'; did you mean 'time'?",
    ),
    "event time that is no time": (
        ("event_time: time\n", "event_time: country #!\n"),
        "sources.visits.event_time: 'country' is string, and must be a timestamp; known are 'time'",
    ),
    "event time without batch days": (
        (
            "event_time: time\n      first_batch_days: 180\n      batch_days: 30\n",
            "event_time: time #!\n      first_batch_days: 180\n",
        ),
        "sources.visits.event_time: batch_days is missing: how many days a landing takes",
    ),
    "batch days without event time": (
        ("event_time: time\n      first_batch_days: 180\n      batch_days: 30\n", "batch_days: 30 #!\n"),
        "sources.visits.batch_days: batches go by time: name the timestamp column with event_time",
    ),
    "unknown Arrow type": (
        ("amount: double\n", "amount: doubel #!\n"),
        "sources.visits.columns.amount: unknown value 'doubel'; did you mean 'double'?",
    ),
    "no placed_by": (
        (
            "    visits:\n",
            (
                "    trips: #!\n      path: a.parquet\n      event_time: at\n      first_batch_days: 1\n"
                "      batch_days: 1\n      columns: {at: 'timestamp[us]'}\n    visits:\n"
            ),
        ),
        "sources.trips: placed_by is missing: it must say which rows belong to UK and which to EU",
    ),
    "placed_by an unknown column": (
        ("column: country\n", "column: contry #!\n"),
        "sources.visits.placed_by.column: the source has no column 'contry'; did you mean 'country'?",
    ),
    "placed_by a number": (
        ("column: country\n", "column: amount #!\n"),
        "sources.visits.placed_by.column: 'amount' is double, and must be a string",
    ),
    "placed where there is no placement": (
        ("          UK: [United Kingdom]\n", "          UK: [United Kingdom]\n          US: [USA] #!\n"),
        "sources.visits.placed_by.values.US: the workload has no placement in 'US'; did you mean 'UK'?",
    ),
    "placed nowhere": (
        ("        values:\n          UK: [United Kingdom]\n", "        values: #!\n"),
        "sources.visits.placed_by.values: no values for UK: nothing would ever land there",
    ),
    "value in two jurisdictions": (
        ("            - Italy\n", "            - United Kingdom #!\n"),
        "sources.visits.placed_by.values.EU[1]: 'United Kingdom' is already listed for UK: a row belongs to one jurisdiction",
    ),
    "value that YAML takes for a boolean": (
        ("            - Italy\n", "            - NO #!\n"),
        "sources.visits.placed_by.values.EU[1]: must be text, but YAML reads it as False: put it in quotes",
    ),
    "personal column of no source": (
        ("personal_columns: [customer]\n", "personal_columns: [custommer] #!\n"),
        "personal_columns[0]: no source has a column 'custommer'; did you mean 'customer'?",
    ),
    "key from an unknown view": (
        ("join_key_from: customer\n", "join_key_from: custommer #!\n"),
        "features.views.shop.join_key_from: there is no other view 'custommer'; did you mean 'customer'?",
    ),
    "key from an unknown feature": (
        (
            f"shop: int64\n      shop:\n{KEY}        join_key_from: customer\n",
            f"shop_id: int64\n      shop:\n{KEY}        join_key_from: customer #!\n",
        ),
        "features.views.shop.join_key_from: view 'customer' has no feature 'shop', the join key here; did you mean 'shop_id'?",
    ),
    "key of nobody": (
        (f"{KEY}        join_key_from: customer\n", KEY.replace("shop\n", "shop #!\n")),
        "features.views.shop.join_key: 'shop' is not the entity's key 'customer': say with join_key_from which view has it",
    ),
    "one feature in two views": (
        ("          visitors: int64\n", "          recency_days: int64 #!\n"),
        (
            "features.views.shop.features.recency_days: view 'customer' has a feature of this name too: "
            "a model could not tell them apart"
        ),
    ),
    "tolerance of no feature": (
        ("  thresholds:", "  tolerances:\n    recency_day: {relative: 1.0e-9, reason: sums} #!\n  thresholds:"),
        "tolerances.recency_day: no view has a feature 'recency_day'; did you mean 'recency_days'?",
    ),
    "tolerance of a whole number": (
        ("  thresholds:", "  tolerances:\n    visitors: {relative: 1.0e-9, reason: sums} #!\n  thresholds:"),
        "tolerances.visitors: 'visitors' is int64: only fractions depend on the order of computation",
    ),
    "tolerance of nothing": (
        ("  thresholds:", "  tolerances:\n    recency_days: {reason: sums} #!\n  thresholds:"),
        "tolerances.recency_days: tolerates nothing: give absolute or relative, or remove it",
    ),
    "tolerance without a reason": (
        ("  thresholds:", "  tolerances:\n    recency_days: {absolute: 0.1} #!\n  thresholds:"),
        "tolerances.recency_days.reason: this key is missing",
    ),
    "unknown metric": (
        ("metric: roc_auc\n", "metric: roc_ouc #!\n"),
        "training.metric: unknown value 'roc_ouc'; did you mean 'roc_auc'?",
    ),
    "lock-in nowhere": (
        ("lock_in: null\n", "lock_in: {cloud: gpc, reason: a tensor chip} #!\n"),
        "lock_in.cloud: unknown cloud 'gpc'; did you mean 'gcp'?",
    ),
    "name of another folder": (
        ("name: churn\n", "name: chrun #!\n"),
        "name: 'chrun' must be the name of its folder, 'churn'",
    ),
    "wrong type": (
        ("type: mcml_assets.Workload\n", "type: mcml_assets.Worklod #!\n"),
        "type: unknown value 'mcml_assets.Worklod'; did you mean 'mcml_assets.Workload'?",
    ),
    "a key twice": (
        ("  rpo_seconds: 3600\n", "  rpo_seconds: 3600\n  rto_seconds: 90 #!\n"),
        "attributes.rto_seconds: the key is already written on line 17",
    ),
}
