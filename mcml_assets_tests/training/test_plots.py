"""Promises of the plots: real images, small enough for an event, showing nobody."""

import re
import warnings
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd

from mcml_assets.training.candidate import train_candidate
from mcml_assets.training.figures import as_markdown
from mcml_assets.training.plots import feature_histograms, plots
from mcml_assets_tests.training.synthetic import make_rows, make_workload

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_candidates_plots_are_small_transparent_images(tmp_path: Path) -> None:
    """Each plot is one Markdown image under 60 kB with a transparent ground, so it reads in a light and in a dark UI."""
    from matplotlib.image import imread

    rows = make_rows()
    drawn = plots(train_candidate(make_workload(tmp_path), rows.x, rows.y, entities=rows.entities, times=rows.times))
    assert set(drawn) == {"roc_curve", "calibration", "feature_histograms"}
    for name, png in drawn.items():
        markdown = as_markdown(name, png)
        embedded = re.fullmatch(r"!\[[a-z ]+\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", markdown)
        assert embedded is not None
        assert b64decode(embedded.group(1)) == png
        assert png.startswith(PNG)
        assert len(markdown) < 60_000
        (tmp_path / name).write_bytes(png)
        pixels = imread(tmp_path / name, format="png")
        assert pixels[0, 0, 3] == 0
        assert (pixels[..., 3] > 0.5).mean() > 0.01


def test_many_wide_inputs_still_make_one_small_image() -> None:
    """Thirty inputs, some empty, constant or of thousands of categories, stay under 60 kB and warn about nothing."""
    generator = np.random.default_rng(0)
    x = pd.DataFrame({f"input_{number}": generator.lognormal(0, 3, 2000) for number in range(27)})
    x["input_0"], x["input_1"] = np.nan, 3.0
    x["input_2"] = pd.Series([f"value {number}" for number in range(2000)], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        png = feature_histograms(x, x.head(50))
    assert png.startswith(PNG)
    assert len(as_markdown("feature_histograms", png)) < 60_000
