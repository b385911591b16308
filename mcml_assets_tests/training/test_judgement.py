"""Promises of `quality`: nobody's model gets worse unseen, no segment pays for the average, and nothing secret is told."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from mcml_assets.domain.quality import QualityThresholds
from mcml_assets.domain.workload import Classification, Thresholds, Workload
from mcml_assets.training.candidate import Candidate, train_candidate
from mcml_assets.training.judgement import Quality, Served, judge
from mcml_assets_tests.training.synthetic import make_rows, make_workload

QUALITY = QualityThresholds(served_margin=0.02, segments=("city", "visits"), max_calibration_error=0.1)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    made = make_workload(tmp_path_factory.mktemp("shop"))
    return replace(made, thresholds=Thresholds(quality=QUALITY))


@pytest.fixture(scope="module")
def candidate(workload: Workload) -> Candidate:
    rows = make_rows()
    return train_candidate(workload, rows.x, rows.y, entities=rows.entities, times=rows.times)


def failed(quality: Quality) -> set[str]:
    return {name for name, one in quality.judgements.items() if not one.passed}


def spoilt(candidate: Candidate, scores: np.ndarray) -> Candidate:
    """The candidate with other scores for some rows, as a model would give that learnt something wrong about them."""
    return replace(candidate, scores=scores)


def test_the_first_training_has_no_served_model_and_says_so(workload: Workload, candidate: Candidate) -> None:
    """Nothing is served yet, so nothing can fall behind; all else is judged as ever."""
    quality = judge(workload, candidate, None)
    assert quality.decision.passed, quality.decision.reason
    assert "no model is served yet" in quality.judgements["served"].reason
    assert quality.over_served is None


def test_a_candidate_worse_than_what_is_served_is_refused(workload: Workload, candidate: Candidate) -> None:
    """The served model knows more of the same rows: refused, with both figures; an equal one is no reason to refuse."""
    knowing = 0.5 * candidate.scores + 0.5 * candidate.y_test.to_numpy()
    quality = judge(workload, candidate, Served(3, knowing))
    assert {"served"} <= failed(quality)
    assert "served version 3" in quality.decision.reason
    assert quality.over_served is not None
    assert quality.over_served.high < -0.02
    same = judge(workload, candidate, Served(3, candidate.scores))
    assert failed(same) == set()
    assert same.over_served is not None
    assert same.over_served.value == same.over_served.low == 0.0


def test_the_margin_is_what_the_workload_says(workload: Workload, candidate: Candidate) -> None:
    """What is refused within a small margin passes within a large one."""
    other = 0.9 * candidate.scores + 0.1 * candidate.y_test.to_numpy()
    wide = replace(workload, thresholds=Thresholds(quality=replace(QUALITY, served_margin=0.5)))
    assert "served" in failed(judge(workload, candidate, Served(1, other)))
    assert "served" not in failed(judge(wide, candidate, Served(1, other)))


def test_rows_that_the_served_model_learnt_from_are_no_contest(workload: Workload, candidate: Candidate) -> None:
    """It is asked about rows that neither was trained on; one that learnt them all is not compared, and that is told."""
    knowing = candidate.y_test.to_numpy(dtype="float64")
    last = datetime.fromisoformat(str(candidate.times.max()))
    later = judge(workload, candidate, Served(1, knowing, last))
    assert 0 < later.compared_rows < len(knowing)
    never = judge(workload, candidate, Served(1, knowing, last + timedelta(days=1)))
    assert "served" not in failed(never)
    assert "trained on all held-out rows" in never.judgements["served"].reason


def test_a_served_model_that_cannot_be_asked_does_not_stop_what_replaces_it(workload: Workload, candidate: Candidate) -> None:
    """Renamed features or another library's pickle are told; refusing would leave the old model for good."""
    quality = judge(workload, candidate, Served(2, None, problem="the model needs column(s) ['age']"))
    assert quality.decision.passed
    assert "not compared with the served version 2: the model needs column(s) ['age']" in quality.judgements["served"].reason


def test_a_model_that_is_wrong_about_one_city_is_refused_however_good_its_average(
    workload: Workload, candidate: Candidate
) -> None:
    """The worst segment is named with its size and its interval."""
    york = (candidate.x_test["city"] == "York").to_numpy()
    quality = judge(workload, spoilt(candidate, np.where(york, 1 - candidate.scores, candidate.scores)), None)
    assert "segments" in failed(quality)
    told = quality.judgements["segments"].reason
    assert f"worst in city = York ({york.sum()} rows of" in told
    assert quality.segments[0].name == "city = York"
    assert quality.segments[0].improvement.high < 0


def test_a_segment_that_lost_against_the_served_model_is_refused(workload: Workload, candidate: Candidate) -> None:
    """Still better than guessing in York, and surely worse than what people get there today."""
    york = (candidate.x_test["city"] == "York").to_numpy()
    knowing = np.where(york, 0.3 * candidate.scores + 0.7 * candidate.y_test.to_numpy(), candidate.scores)
    quality = judge(workload, candidate, Served(1, knowing))
    assert "segments" in failed(quality)
    bad = {one.name for one in quality.segments if not one.passed}
    assert "city = York" in bad
    assert "city = Leeds" not in bad


def test_a_small_segment_is_shown_and_accuses_nobody(workload: Workload, candidate: Candidate) -> None:
    """Five rows of a new city, all wrong, are too few to say anything: they are counted as not judged."""
    city = candidate.x_test["city"].to_numpy(dtype=object).copy()
    city[:5] = "Hull"
    rare = replace(candidate, x_test=candidate.x_test.assign(city=city))
    scores = np.where(city == "Hull", 1 - candidate.scores, candidate.scores)
    quality = judge(workload, spoilt(rare, scores), None)
    assert "segments" not in failed(quality)
    assert "1 are too small to judge" in quality.judgements["segments"].reason
    (hull,) = [one for one in quality.segments if one.name == "city is another value"]
    assert (hull.rows, hull.judged) == (5, False)


def test_segments_that_mean_nothing_are_seldom_accused(workload: Workload, candidate: Candidate) -> None:
    """Of 25 random divisions of the same rows with an equal served model, none is accused: the intervals allow for many."""
    generator = np.random.default_rng(11)
    noise = np.clip(candidate.scores + generator.normal(0, 0.01, len(candidate.scores)), 0, 1)
    accused = 0
    for _ in range(25):
        city = generator.choice(np.array(list("abcdef"), dtype=object), len(candidate.scores))
        divided = replace(candidate, x_test=candidate.x_test.assign(city=city), x_train=candidate.x_train.assign(
            city=generator.choice(np.array(list("abcdef"), dtype=object), len(candidate.x_train))))  # fmt: skip
        accused += "segments" in failed(judge(workload, divided, Served(1, noise)))
    assert accused <= 1


def test_a_restricted_value_is_in_no_name_and_no_reason(workload: Workload, candidate: Candidate) -> None:
    """Of a restricted workload segments are numbered: neither a city nor a number of visits is told."""
    secret = replace(workload, classification=Classification.RESTRICTED)
    york = (candidate.x_test["city"] == "York").to_numpy()
    quality = judge(secret, spoilt(candidate, np.where(york, 1 - candidate.scores, candidate.scores)), None)
    told = " ".join([quality.decision.reason, *(one.name for one in quality.segments)])
    assert "segments" in failed(quality)
    assert "York" not in told
    assert "Leeds" not in told
    assert {one.name for one in quality.segments if one.name.startswith("city")} == {"city value 1 of 2", "city value 2 of 2"}
    visits = {one.name for one in quality.segments if one.name.startswith("visits")}
    assert visits == {f"visits part {number} of 4" for number in (1, 2, 3, 4)}


def test_scores_that_promise_other_shares_are_refused_and_chance_is_not(workload: Workload, candidate: Candidate) -> None:
    """A model that says 0.95 for every second buyer is miscalibrated; one whose error chance explains passes."""
    sure = spoilt(candidate, np.clip(candidate.scores + 0.4, 0, 1))
    error = candidate.evaluation.calibration
    from mcml_assets.training.metrics import calibration

    off = replace(sure, evaluation=replace(sure.evaluation, calibration=calibration(sure.y_test.to_numpy(), sure.scores)))
    assert "calibration" in failed(judge(workload, off, None))
    strict = replace(workload, thresholds=Thresholds(quality=replace(QUALITY, max_calibration_error=1e-6)))
    quality = judge(strict, candidate, None)
    assert error.expected_error > 1e-6
    assert ("calibration" in failed(quality)) == (error.expected_error > quality.calibration_by_chance)
