"""The roofline, the chips it is drawn for, and the page that tells both."""

from typing import Any, NamedTuple

from ddjax.judging import markdown


class Chip(NamedTuple):
    """Published figures of a chip, for each second or in bytes; `link` is one direction of its interconnect."""

    name: str
    peak: float  # bfloat16 operations
    bandwidth: float
    memory: float
    link: float
    far_link: float  # the same between groups of `near` chips
    near: int
    source: str


CHIPS = (
    Chip("H100 SXM", 989e12, 3.35e12, 80e9, 450e9, 50e9, 8, "NVIDIA, H100 and DGX H100 data sheets"),
    Chip("TPU v5e", 197e12, 819e9, 16e9, 200e9, 200e9, 256, "Google Cloud, TPU v5e"),
    Chip("TPU v5p", 459e12, 2765e9, 95e9, 600e9, 600e9, 8960, "Google Cloud, TPU v5p"),
)


_METHOD = """\
# What a training step costs

**These are predictions. None was measured on such chips**, and nothing here has been trained on them. Written by
`python -m experiments.costs --out docs/results/costs.json --page docs/costs.md`.

Method. The preset's real step (loss, population, optimizer, average, over a mesh that splits the batch) is compiled by
XLA from shapes alone for 1, 8 and 64 *simulated* CPU devices, and the compiled program is asked for the operations, bytes
and memory of one device. time = max(operations / ({share} of the peak), bytes / bandwidth) + 2 (n - 1)/n gradient bytes / link.

- {share} of the peak is an assumption (`--utilisation`). Operations are tested against a count by hand; taps of a
  convolution outside the image are not counted.
- Bytes and temporaries are those of XLA's *CPU* program, which computes bfloat16 in float32 and fuses for another
  machine: a pessimistic stand-in. A chip's own compiler should need less; how much less was not measured. So steps a
  second are given from what they would be if all those bytes came from memory, to arithmetic and exchange alone.
- Gradients, float32, are added up in a ring after the backward pass, with no overlap. Input, checkpoints and sampling
  are left out.
"""

_CHECKED = """\
## The method on a machine at hand

The digits preset on 2 CPU cores that others used too: {flops:.3g} GFLOP and {bytes:.3g} GB a step, a measured peak of
{peak:.0f} GFLOP/s (product of 2,048 x 2,048 in float32, taken for fully reached) and {bandwidth:.3g} GB/s (a pass over an array).
Predicted {told_predicted} steps a second, measured {told_measured}: predicted over measured is {told_ratio}."""


class Prediction(NamedTuple):
    """Steps a second: by arithmetic alone, and when all counted bytes come from memory; whether the step fits."""

    at_most: float
    at_least: float
    fits: bool


def predict(row: dict[str, Any], chip: Chip, utilisation: float) -> Prediction:
    """time = max(operations / (utilisation peak), bytes / bandwidth) + 2 (n - 1) / n gradient bytes / link."""
    n = row["chips"]
    link = chip.link if n <= chip.near else chip.far_link
    exchange = 2 * (n - 1) / n * 4 * row["parameters"] / link
    compute = row["flops"] / (utilisation * chip.peak)
    traffic = row["bytes"] / chip.bandwidth
    return Prediction(1 / (compute + exchange), 1 / (max(compute, traffic) + exchange), memory(row) <= chip.memory)


def memory(row: dict[str, Any]) -> float:
    """Bytes on one chip: what the step is given (its state is donated) and what it makes on the way."""
    return row["arguments"] + row["temporaries"]


def page(numbers: dict[str, Any]) -> str:
    """The whole page."""
    return "\n".join([*_head(numbers), *_counts(numbers), *_predictions(numbers), *_check(numbers["check"])]) + "\n"


def _head(numbers: dict[str, Any]) -> list[str]:
    lines = [
        [c.name, f"{c.peak / 1e12:g}", f"{c.memory / 1e9:g}", f"{c.bandwidth / 1e9:,.0f}", _link(c), c.source]
        for c in CHIPS
    ]
    head = ["chip", "bf16, TFLOP/s", "memory, GB", "bandwidth, GB/s", "link, one direction, GB/s", "source"]
    return [_METHOD.format(share=f"{100 * numbers['utilisation']:g} %"), markdown(head, lines), ""]


def _link(chip: Chip) -> str:
    far = "" if chip.link == chip.far_link else f" ({chip.far_link / 1e9:g} beyond {chip.near} chips)"
    return f"{chip.link / 1e9:g}{far}"


def _counts(numbers: dict[str, Any]) -> list[str]:
    lines = [
        [row["preset"], row["model"], str(row["chips"]), f"{row['parameters'] / 1e6:.1f}", f"{row['flops'] / 1e12:.3g}",
         f"{row['bytes'] / 1e9:.4g}", f"{row['arguments'] / 1e9:.2f}", f"{row['temporaries'] / 1e9:.3g}",
         ", ".join(f"{count} {name}" for name, count in sorted(row["collectives"].items())) or "none"]
        for row in numbers["steps"]
    ]  # fmt: skip
    head = [
        "preset",
        "model",
        "chips",
        "parameters, M",
        "TFLOP",
        "GB moved",
        "state and batch, GB",
        "temporaries, GB",
        "exchanges",
    ]
    return [
        f"## A step on one of the chips, at a batch of {numbers['steps'][0]['batch']} in all",
        "",
        markdown(head, lines),
        "",
    ]


def _predictions(numbers: dict[str, Any]) -> list[str]:
    def cell(row: dict[str, Any], chip: Chip) -> str:
        found = predict(row, chip, numbers["utilisation"])
        return f"{found.at_least:.4g} to {found.at_most:.4g}" + ("" if found.fits else " (memory?)")

    lines = [
        [row["preset"], row["model"], str(row["chips"]), *(cell(row, chip) for chip in CHIPS)]
        for row in numbers["steps"]
    ]
    return [
        "## Steps a second, predicted",
        "",
        markdown(["preset", "model", "chips", *(chip.name for chip in CHIPS)], lines),
        "",
        "(memory?): the counted memory exceeds the chip; more chips, `--remat` or parts of a batch (`accumulate`) make it fit.",
        "",
    ]


def _check(check: dict[str, float]) -> list[str]:
    return [_CHECKED.format(**{name: value / 1e9 for name, value in check.items()}, **_rounded(check))]


def _rounded(check: dict[str, float]) -> dict[str, str]:
    return {f"told_{name}": f"{check[name]:.3g}" for name in ("predicted", "measured", "ratio")}
