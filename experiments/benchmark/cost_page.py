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


class Measured(NamedTuple):
    """A step on one H100: milliseconds, peak GB, and where that stands."""

    preset: str
    model: str
    ms: float
    memory_gb: float
    source: str


_SUITE = "[benchmark](speed.md#nvidia-h100)"
MEASURED = (  # the presets' nets and batches in bfloat16, forward and backward
    Measured("cifar10", "regression", 24.0, 3.72, "[by hand](performance.md#unet-and-dit-on-one-h100)"),
    Measured("cifar10-dit", "regression", 38.27, 11.42, _SUITE),
    Measured("cifar10-dit", "DDM beta 1", 140.0, 45.07, _SUITE),
)
OVERCOUNT = 3  # by which the temporaries of the CPU's program are divided: less than any of MEASURED asks for

_METHOD = """\
# What a training step costs

Predicted steps a second and memory of the cifar10 presets on 1, 8 and 64 H100, TPU v5e and TPU v5p, beside measurements on one
H100. Use it to choose a chip, a number of chips, and whether `--remat` or `--accumulate` is needed. Written by
`python -m experiments.costs --out docs/results/costs.json --page docs/costs.md`.

## Method

XLA compiles the real step of a preset (loss, population, optimizer, average, over a mesh that splits the batch) from shapes
alone for 1, 8 and 64 *simulated* CPU devices, and counts operations, bytes and memory of one device. For n chips

$$\\mathrm{{time}} = \\frac{{\\mathrm{{operations}}}}{{{fraction} \\cdot \\mathrm{{peak}}}} + \\frac{{2 (n - 1)}}{{n}} \\cdot
\\frac{{\\mathrm{{gradient\\ bytes}}}}{{\\mathrm{{link}}}}$$

- {share} of the peak (`--utilisation`) is what three steps reach on an H100, below; for TPUs and for several chips it is an
  assumption. Operations are tested against a count by hand; taps of a convolution outside the image are not counted.
- Bytes and temporaries are those of XLA's *CPU* program, which computes bfloat16 in float32 and fuses for another machine. The
  H100 needs less than a third of the counted temporaries, so memory is predicted from a third of them. The bytes would take two
  to three times as long as the steps do; they are listed and not used.
- Gradients, float32, are added up in a ring after the backward pass, with no overlap. Input, checkpoints and sampling are left
  out.
"""

_CONFRONTED = """\
"ms, a priori" is a prediction without a measurement: from arithmetic alone at 40 % of the peak, to all counted bytes from memory.
Each measured step lies inside that range, nearer to arithmetic. All three reach about the same share of the peak and need less
than a third of the counted memory; the predictions of this page use both.
"""

_CHECKED = """\
## The method on two CPU cores

The digits preset: {flops:.3g} GFLOP and {bytes:.3g} GB a step, a measured peak of {peak:.0f} GFLOP/s (product of 2,048 x 2,048
in float32, taken as fully reached) and {bandwidth:.3g} GB/s (a pass over an array). Predicted {told_predicted} steps a second,
measured {told_measured}; predicted over measured is {told_ratio}."""


def seconds(row: dict[str, Any], chip: Chip, utilisation: float) -> float:
    """Of a step: operations / (utilisation peak) + 2 (n - 1) / n gradient bytes / link."""
    n = row["chips"]
    link = chip.link if n <= chip.near else chip.far_link
    return row["flops"] / (utilisation * chip.peak) + 2 * (n - 1) / n * 4 * row["parameters"] / link


def memory(row: dict[str, Any]) -> float:
    """Bytes on one chip: what the step is given (its state is donated) and what it makes on the way."""
    return row["arguments"] + row["temporaries"] / OVERCOUNT


def page(numbers: dict[str, Any]) -> str:
    """The whole page."""
    parts = (_head(numbers), _counts(numbers), _confronted(numbers), _predictions(numbers), _check(numbers["check"]))
    return "\n".join(line for part in parts for line in part) + "\n"


def _head(numbers: dict[str, Any]) -> list[str]:
    lines = [
        [c.name, f"{c.peak / 1e12:g}", f"{c.memory / 1e9:g}", f"{c.bandwidth / 1e9:,.0f}", _link(c), c.source]
        for c in CHIPS
    ]
    head = ["chip", "bf16, TFLOP/s", "memory, GB", "bandwidth, GB/s", "link, one direction, GB/s", "source"]
    return [
        _METHOD.format(share=f"{100 * numbers['utilisation']:g} %", fraction=f"{numbers['utilisation']:g}"),
        markdown(head, lines),
        "",
    ]


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


def confronted(numbers: dict[str, Any]) -> list[dict[str, Any]]:
    """Each measured step beside what is counted of it, and the range that is predicted without a measurement."""
    chip, found = CHIPS[0], []
    for of in MEASURED:
        [row] = [r for r in numbers["steps"] if (r["preset"], r["model"], r["chips"]) == (of.preset, of.model, 1)]
        found.append(
            {
                "of": of,
                "before": (1e3 * seconds(row, chip, 0.4), 1e3 * row["bytes"] / chip.bandwidth),
                "now": 1e3 * seconds(row, chip, numbers["utilisation"]),
                "share": row["flops"] / (of.ms / 1e3) / chip.peak,
                "counted": (row["arguments"] + row["temporaries"]) / 1e9,
                "memory": memory(row) / 1e9,
            }
        )
    return found


def _confronted(numbers: dict[str, Any]) -> list[str]:
    lines = [
        [of.preset, of.model, "{:.3g} to {:.3g}".format(*row["before"]), f"{row['now']:.3g}", f"{of.ms:.3g}",
         f"{100 * row['share']:.0f} %", f"{row['counted']:.3g}", f"{row['memory']:.3g}", f"{of.memory_gb:.3g}", of.source]
        for row in confronted(numbers) for of in [row["of"]]
    ]  # fmt: skip
    head = ["preset", "model", "ms, a priori", "ms, predicted", "ms, measured", "share of the peak", "GB, counted",
            "GB, predicted", "GB, measured", "source"]  # fmt: skip
    return ["## Measured on one H100", "", markdown(head, lines), "", _CONFRONTED]


def _predictions(numbers: dict[str, Any]) -> list[str]:
    def cell(row: dict[str, Any], chip: Chip) -> str:
        fits = memory(row) <= chip.memory
        return f"{1 / seconds(row, chip, numbers['utilisation']):.4g}" + ("" if fits else " (memory?)")

    lines = [
        [row["preset"], row["model"], str(row["chips"]), *(cell(row, chip) for chip in CHIPS)]
        for row in numbers["steps"]
    ]
    return [
        "## Steps a second, predicted",
        "",
        markdown(["preset", "model", "chips", *(chip.name for chip in CHIPS)], lines),
        "",
        "(memory?): the predicted memory exceeds the chip; it fits with more chips, `--remat` or `--accumulate`.",
        "",
    ]


def _check(check: dict[str, float]) -> list[str]:
    return [_CHECKED.format(**{name: value / 1e9 for name, value in check.items()}, **_rounded(check))]


def _rounded(check: dict[str, float]) -> dict[str, str]:
    return {f"told_{name}": f"{check[name]:.3g}" for name in ("predicted", "measured", "ratio")}
