"""Measured numbers: sweeps over steps, posterior spread and calibration, the gap that a model closes, tables."""

from ddjax.judging.against import Metric, Truth, against, by_block, class_mean, floors, in_blocks, on_points
from ddjax.judging.calibration import Calibration, EnergyGap, calibration, energy_gap
from ddjax.judging.gaps import gap_closed
from ddjax.judging.grids import USUAL, Choice, choose_grid
from ddjax.judging.numbers import Number, has_churn, heads, markdown, measured, rows, table, told_floor
from ddjax.judging.paired import Difference, paired, rises
from ddjax.judging.spread import Spread, spread_curve
from ddjax.judging.sweep import Draw, Judge, sweep

__all__ = [
    "USUAL", "Calibration", "Choice", "Difference", "Draw", "EnergyGap", "Judge", "Metric", "Number", "Spread", "Truth",
    "against", "by_block", "calibration", "choose_grid", "class_mean", "energy_gap", "floors", "gap_closed",
    "has_churn", "heads", "in_blocks", "markdown", "measured", "on_points", "paired", "rises", "rows", "spread_curve", "sweep",
    "table", "told_floor",
]  # fmt: skip
