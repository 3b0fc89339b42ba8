"""The commands of experiments; a module that is none says so when it is started as one."""

import importlib.util
import sys
from typing import NamedTuple


class Command(NamedTuple):
    """Words after `python -m experiments.`, what they do, and the time that this takes on two CPU cores."""

    words: str
    purpose: str
    time: str


COMMANDS = (
    Command("two_gaussians", "train and evaluate distributional diffusion on the paper's target", "3 min"),
    Command("two_gaussians --full", "four betas, three seeds", "35 min"),
    Command("two_moons", "flow matching, OT coupling, guidance and DDM on two moons", "12 min"),
    Command("conditional_ot", "the curse of conditions: three couplings, three conditions", "5 min"),
    Command("images", "DDM beside regression on digits (also glyphs, photos, your own)", "15 min"),
    Command("family", "DDM, its follow-ups and its few-step baselines on the same data", "45 min"),
    Command("family_tuning", "the search behind its presets, every trial listed", "40 min"),
    Command("warm_start", "DDM from a regression model by zero weights of xi, beside scratch", "3 min"),
    Command("family_page", "the tables of docs/family.md from the stored runs", "seconds"),
    Command("stored_results", "the table of stored runs whose commands now do otherwise", "seconds"),
    Command("ot_loss", "the gap between samples and data in features, and a loss that closes it", "10 min"),
    Command("inflation", "inflationary flows on toys and digits: to a Gaussian and back", "10 min"),
    Command("inverse_problems", "digits from part of them: intervals that cover, beside DPS and guidance", "11 min"),
    Command("guidance", "guided images at 1 to 4 steps: class accuracy against diversity", "3 min"),
    Command("compare", "two image models in different numbers of steps, with bootstrap intervals", "2 min"),
    Command("limits", "what no training can beat: exact oracles at every step count", "1 min"),
    Command("dispersion", "the spread that lam and beta imply, trained against theory", "1 min"),
    Command("three_views", "SDE, density and probability flow: equal at every time, different together", "2 min"),
    Command("traps", "three published mistakes, and what each costs", "1 min"),
    Command("score_matching", "every objective of score matching beside the exact score", "3 min"),
    Command("conditioning", "given a measurement: draws, particles, and the exact mean (DPS)", "1 min"),
    Command("forecast", "what scoring rules see of a wrong ensemble forecast, on a known law", "1 min"),
    Command("inflation_inference", "a posterior carried through inflationary flows, and its calibration", "3 min"),
    Command("anisotropic_flow", "flow matching on the paths of inflationary flows, with and without OT", "14 min"),
    Command("benchmark", "training and sampling beside torch; --suite all: everything measured", "5 min"),
    Command("benchmark --render", "the tables of docs/speed.md from the stored results", "seconds"),
    Command("benchmark.overheads", "what the progress display and the checkpoints cost, timed in turns", "1 min"),
    Command("coupling_solvers", "exact and Sinkhorn couplings, timed side by side", "7 min"),
    Command("stream_timing", "training steps on resident and streamed batches, timed in turns", "2 min"),
    Command("patch_timing", "training steps with and without scores of patches, timed in turns", "3 min"),
    Command("large_run", "remat, bfloat16, parts of a batch, streams: what each costs and saves", "4 min"),
    Command("train_classifier", "the small classifier in whose features images are measured", "1 min"),
    Command("fetch", "download MNIST, Fashion-MNIST or CIFAR-10", "minutes"),
    Command("costs", "memory and speed of the cifar10 presets on 1 to 64 chips, predicted", "5 min"),
    Command("pretrain", "a trained model into the package, and docs/pretrained.md", "seconds"),
    Command("sample", "draw samples from a saved run", "seconds"),
    Command("export", "a trained model as files that need neither the run nor flax", "seconds"),
)
NAMES = tuple(dict.fromkeys(command.words.split()[0] for command in COMMANDS))
CHILDREN = ("benchmark.worker",)  # modules that commands start as processes of their own


def listing() -> str:
    """All commands, one a line."""
    lines = [f"  python -m experiments.{words:<23} {purpose:<78} {time:>7}" for words, purpose, time in COMMANDS]
    return "\n".join(["Experiments of ddjax (time on 2 CPU cores; each has --help):", "", *lines]) + "\n"


def require(words: list[str]) -> None:
    """Where `python -m` was given a module of experiments that is no command: one line, and exit code 2.

    Args:
        words: of the whole command line, the interpreter's own among them (`sys.orig_argv`).
    """
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    package, _, name = module.partition(".")
    if (
        package == "experiments"
        and name
        and name not in (*NAMES, *CHILDREN)
        and importlib.util.find_spec(module) is not None
    ):
        commands = ", ".join(NAMES)
        print(f"error: {module} is no command; commands of experiments are {commands}", file=sys.stderr)
        raise SystemExit(2)
