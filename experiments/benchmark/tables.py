"""Markdown tables of the stored parts of suites: functions of plain rows."""

from typing import Any

from ddjax.judging import markdown

Part = dict[str, Any]


def ms(row: Part) -> str:
    """Median with quartiles."""
    return f"{row['ms']:.3g} ({row['low_ms']:.3g} to {row['high_ms']:.3g})"


def ratio(row: Part, base: str) -> str:
    """A ratio paired by round."""
    return f"{row['ratio'][base]:.2f}" if base in row["ratio"] else ""


def share(row: Part) -> str:
    """Of the matmul peak."""
    return f"{100 * row['peak_share']:.0f} %" if "peak_share" in row else ""


def toy(part: Part) -> str:
    """A row for each side: start, training, sampling, memory; then starts."""
    heads = ["side", "start to step 50, s", "training step, ms", "x torch eager", "x torch.compile", "of matmul peak"]
    heads += ["10,000 samples in 20 steps, ms", "x torch eager", "x torch.compile", "compile, s", "peak memory, MB"]
    body = []
    for side in dict.fromkeys(row["side"] for row in part["rows"]):
        train, sample = (row for row in part["rows"] if row["side"] == side)
        cells = [side, f"{train['ready_s']:.1f}"]
        for row in (train, sample):
            cells += [ms(row), ratio(row, "torch eager"), ratio(row, "torch.compile")]
            cells += [share(row)] if row is train else []
        body.append([*cells, f"{train['compile_s'] + sample['compile_s']:.1f}", f"{train['memory_mb']:.0f}"])
    starts = [[row["side"], f"{row['first_s']:.1f}", f"{row['second_s']:.1f}"] for row in part["starts"]]
    told = f"Matmul peak, measured: {part['peak_gflops']:.0f} GFLOP/s in float32."
    heads_of_starts = ["process start to first training step", "first start, s", "second start, s"]
    return "\n\n".join([markdown(heads, body), told, markdown(heads_of_starts, starts)])


def quality(part: Part) -> str:
    """Time to the target, and where each side stands at the end."""
    heads = [
        "side",
        f"seconds to MMD² <= {part['target']:g} at {part['nfe']} steps",
        "training steps to it",
        "seeds that reach it",
    ]
    heads += ["training step, ms", f"MMD² after {part['steps']:,} steps"]
    body = [
        [
            row["side"],
            "not reached" if row["seconds"] is None else f"{row['seconds']:.1f}",
            "" if row["steps"] is None else f"{row['steps']:.0f}",
            row["reached"],
            f"{row['ms']:.3g}",
            f"{row['last_mmd2']:.2g}",
        ]
        for row in part["rows"]
    ]
    return markdown(heads, body) + f"\n\nn = {part['n']:,}; floor 0 +- {part['floor']:.1g}."


def curves(part: Part, label: str) -> str:
    """A row for each work, a column for each side: milliseconds."""
    sides = list(dict.fromkeys(row["side"] for row in part["rows"]))
    cells = {(row["work"], row["side"]): row for row in part["rows"]}
    works = sorted({row["work"] for row in part["rows"]}, key=lambda work: [int(word) for word in work.split()[1:]])
    heads = [*label.split("|"), *(f"{side}, ms" for side in sides)]
    return markdown(heads, [[*spaced(work), *(f"{cells[work, s]['ms']:.3g}" for s in sides)] for work in works])


def spaced(work: str) -> list[str]:
    """The numbers in the name of a work."""
    return [f"{int(word):,}" for word in work.split()[1:]]


def scaling(part: Part) -> str:
    """Training step against batch and population."""
    return curves(part, "batch|m")


def sampler(part: Part) -> str:
    """Sampling against n and steps."""
    return curves(part, "samples|steps")


def step(part: Part) -> str:
    """A regression step of an image net."""
    heads = [
        f"step, batch {part['batch']}",
        "ms",
        "x torch eager",
        "x torch.compile",
        "over plain ddjax",
        "of matmul peak",
    ]
    heads += ["compile, s", "peak memory, MB"]
    body = [
        [
            row["side"],
            ms(row),
            *(
                [ratio(row, "torch eager"), ratio(row, "torch.compile"), ""]
                if "draws" not in row["side"]
                else ["", "", ""]
            ),
            share(row),
            f"{row['compile_s']:.1f}",
            f"{row['memory_mb']:.0f}",
        ]
        for row in part["rows"]
    ]
    for cells, row in zip(body, part["rows"], strict=True):
        cells[4] = f"{1 / row['ratio']['ddjax']:.2f}" if "draws" in row["side"] else ""
    return markdown(heads, body)


def race(part: Part, title: str, bases: list[str]) -> str:
    """A row for each side and work."""
    several = len({row["work"] for row in part["rows"]}) > 1
    heads = [title, *(["size"] if several else []), "ms", *(f"x {base}" for base in bases), "peak memory, MB"]
    works = list(dict.fromkeys(row["work"] for row in part["rows"]))
    rows = sorted(part["rows"], key=lambda row: works.index(row["work"]))
    body = []
    for row in rows:
        size = [row["work"]] if several else []
        body.append([row["side"], *size, ms(row), *(ratio(row, base) for base in bases), f"{row['memory_mb']:.0f}"])
    return markdown(heads, body)


def ot(part: Part) -> str:
    """Coupled steps, Sinkhorn divergences, exact distances."""
    coupling = race(part["coupling"], "flow-matching step", ["torchcfm, exact OT by POT", "ddjax, independent"])
    sinkhorn = race(part["sinkhorn"], "Sinkhorn divergence", ["geomloss, scaling .99"])
    exact = race(part["exact"], "exact W_2", ["POT, emd2"])
    return "\n\n".join([coupling, sinkhorn, exact])


def gradient(part: Part) -> str:
    """The Sinkhorn divergence with its gradient."""
    size = part["rows"][0]["work"]
    return race(part, f"Sinkhorn divergence and gradient, {size}", ["geomloss, scaling .99"])


def metrics(part: Part) -> str:
    """MMD^2, energy score, CRPS."""
    others = {"mmd": ("MMD²", "torch, whole matrices"), "energy": ("energy score", "scoringrules")}
    others |= {"crps": ("CRPS", "scoringrules")}
    return "\n\n".join(race(part[name], title, [base]) for name, (title, base) in others.items())


H100_TFLOPS = 989  # in bfloat16, dense: NVIDIA, H100 SXM data sheet


def gpu(part: Part) -> str:
    """A table for each group in which something was measured; utilisation is that of the products of a side's own model."""
    peak = part.get("peak_tflops")
    sheet = H100_TFLOPS if "H100" in part.get("device", "") else None
    tables, unseen = [], []
    for group in dict.fromkeys(row["group"] for row in part["rows"]):
        rows = [row for row in part["rows"] if row["group"] == group]
        if all("told" in row for row in rows):
            unseen.append(f"- {group}: " + "; ".join(f"{row['side']}, {row['told']}" for row in rows))
            continue
        several = len({row["work"] for row in rows if "work" in row}) > 1
        heads = [group, *(["work"] if several else []), "ms", "peak memory, GB", "ready after, s"]
        flops = any("tflops" in row for row in rows)
        heads += ["TFLOP/s", "of the measured bf16 peak", "of the data sheet"] if flops else []
        body = []
        for row in rows:
            if "told" in row:
                body.append([row["side"], *[""] * several, row["told"], *[""] * (len(heads) - 2 - several)])
                continue
            cells = [row["side"], *([row["work"]] if several else []), ms(row), f"{row['memory_mb'] / 1e3:.2f}"]
            cells.append(f"{row['ready_s']:.0f}")
            if flops:
                shares = [f"{100 * row['tflops'] / of:.0f} %" if of else "" for of in (peak, sheet)]
                cells += [f"{row['tflops']:.3g}", *shares]
            body.append(cells)
        tables.append(markdown(heads, body))
    if peak:
        tables.append(f"Peak in bfloat16, measured with products of square matrices: {peak:.3g} TFLOP/s.")
    if unseen:
        tables.append("\n".join(["Not measured:", "", *unseen]))
    return "\n\n".join(tables)


def told(row: Part) -> str:
    """A row as one line of the terminal."""
    if "told" in row:
        return f"{row['group']} | {row['side']}: {row['told']}"
    flops = f", {row['tflops']:.3g} TFLOP/s" if "tflops" in row else ""
    return f"{row['group']} | {row['side']} | {row['work']}: {ms(row)} ms, {row['memory_mb'] / 1e3:.2f} GB{flops}"


TABLES = {
    "toy": toy,
    "quality": quality,
    "scaling": scaling,
    "sampler": sampler,
    "unet": step,
    "dit": step,
    "ot": ot,
    "gradient": gradient,
    "metrics": metrics,
    "gpu": gpu,
}
