"""How the platform's figures look, and how one gets into Markdown metadata. What is drawn, others decide.

Backgrounds are transparent and inks of middle brightness, so a figure is readable in a light and in a dark UI. matplotlib
is imported inside functions.
"""

from base64 import b64encode
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#808792"
CANDIDATE = "#3f83f8"
BASELINE = "#e07b39"
DOTS_PER_INCH = 110


def as_markdown(name: str, png: bytes) -> str:
    """The PNG as a Markdown image that carries its own data."""
    return f"![{name.replace('_', ' ')}](data:image/png;base64,{b64encode(png).decode()})"


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, width and height in inches."""
    # Figure without pyplot: no global state, no display, and nothing to close.
    from matplotlib.figure import Figure  # noqa: PLC0415 - 0.7 s, only when something is drawn

    return Figure(figsize=(width, height), layout="constrained")


def add_axes(figure: "Figure", rows: int, columns: int, position: int) -> "Axes":
    """The axes at a position (from 1) of a grid of `rows` x `columns`."""
    axes = figure.add_subplot(rows, columns, position)
    axes.patch.set_alpha(0)
    axes.tick_params(colors=INK, labelsize=7, length=2)
    axes.xaxis.label.set(color=INK, fontsize=8)
    axes.yaxis.label.set(color=INK, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    return axes


def add_legend(axes: "Axes") -> None:
    """A legend without a frame where there is room."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=7, loc="best")


def as_png(figure: "Figure") -> bytes:
    """The figure as a PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, transparent=True)
    return buffer.getvalue()
