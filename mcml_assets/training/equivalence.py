"""Whether a model that was trained on another compute profile than the wanted one answers as the served one does.

Other hardware sums in another order and may choose other algorithms, so a model can differ without being worse in any
metric. Imports numpy: import this module inside functions.
"""

import numpy as np

from mcml_assets.domain.quality import GateDecision
from mcml_assets.domain.workload import Workload
from mcml_assets.training.candidate import Candidate
from mcml_assets.training.judgement import Served


def equivalence(workload: Workload, candidate: Candidate, served: Served | None, wanted: str, used: str) -> GateDecision:
    """Compare golden predictions: of so many held-out rows, evenly spread over the period, none may be too far off.

    Without a served model that can be asked nobody can tell, and that is a refusal. A model served that was itself trained on
    a fallback had to pass the same: a chain of them may drift by the tolerance each time.
    """
    told = f"trained on profile {used!r}, as {wanted!r} could not be had"
    tolerance = workload.training.equivalence_tolerance
    if tolerance is None:
        return GateDecision(True, f"{told}; neither has an accelerator that could make a difference")
    if served is None or served.scores is None:
        why = "no model is served" if served is None else served.problem
        return GateDecision(False, f"{told}, and there is nothing to compare it with: {why}")
    rows = np.linspace(0, len(candidate.scores) - 1, min(workload.serving.golden_predictions, len(candidate.scores)), dtype=int)
    furthest = float(np.abs(candidate.scores[rows] - served.scores[rows]).max())
    verdict = "within" if furthest <= tolerance else "not within"
    return GateDecision(
        furthest <= tolerance,
        f"{told}: of {len(rows)} golden predictions the furthest is {furthest:.4f} from that of the served version "
        f"{served.version}, {verdict} {tolerance:g}",
    )
