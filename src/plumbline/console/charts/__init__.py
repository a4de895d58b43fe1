"""Server-made SVG: y in pixels, x in per cent, so that charts stretch without scripts and text never scales.

No style attributes anywhere (the policy forbids them): colours come from classes, geometry from presentation
attributes. Every picture is ``role=img`` with its *finding* as label: say what the reader should see ("Declines rise
after 4.2.1"), not what kind of chart it is. At most 120 points are sent; aggregate or :func:`thin` before.
"""

from __future__ import annotations

from plumbline.console.charts.heat import heat_rows
from plumbline.console.charts.lines import cost_curve, curve, line_chart, reliability, spark
from plumbline.console.charts.rectangles import Bar, Step, Waterfall, WaterfallRow, bars, histogram, progress, waterfall
from plumbline.console.charts.scale import MOST, heat_step, nice_ticks, thin

__all__ = [
    "MOST",
    "Bar",
    "Step",
    "Waterfall",
    "WaterfallRow",
    "bars",
    "cost_curve",
    "curve",
    "heat_rows",
    "heat_step",
    "histogram",
    "line_chart",
    "nice_ticks",
    "progress",
    "reliability",
    "spark",
    "thin",
    "waterfall",
]
