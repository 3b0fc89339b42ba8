"""The list of experiments."""

import difflib
import re
import sys

from ddjax import cli

EXPERIMENTS = """\
Experiments of ddjax (time on 2 CPU cores; each has --help):

  python -m experiments.two_gaussians          train and judge distributional diffusion on the paper's target      3 min
  python -m experiments.two_gaussians --full   four betas, three seeds                                            35 min
  python -m experiments.two_moons              flow matching, OT coupling, guidance and DDM on two moons          12 min
  python -m experiments.conditional_ot         the curse of conditions: three couplings, three conditions          5 min
  python -m experiments.images                 DDM beside regression on digits (also glyphs, photos, your own)    15 min
  python -m experiments.family                 DDM, its follow-ups and its few-step rivals on one bench         45 min
  python -m experiments.family_tuning          the search behind its presets, every trial told                  40 min
  python -m experiments.warm_start             DDM from a regression model by zero weights of xi, beside scratch         3 min
  python -m experiments.family_page            the tables of docs/family.md from the stored runs               seconds
  python -m experiments.stored_results         the table of stored runs whose commands now do otherwise        seconds
  python -m experiments.ot_loss                the gap between samples and data in features, and a loss that closes it     10 min
  python -m experiments.inflation              inflationary flows on toys and digits: up, down, there and back           10 min
  python -m experiments.inverse_problems       digits from part of them: intervals that cover, beside DPS and guidance    11 min
  python -m experiments.guidance               guided images at 1 to 4 steps: class accuracy against diversity             3 min
  python -m experiments.compare                two image models in different numbers of steps, with bootstrap intervals    2 min
  python -m experiments.limits                 what no training can beat: exact oracles at every step count        1 min
  python -m experiments.dispersion             the spread that lam and beta imply, trained against theory          1 min
  python -m experiments.three_views            SDE, density and probability flow: equal at every time, different together   2 min
  python -m experiments.traps                  three published mistakes, and what each costs                       1 min
  python -m experiments.score_matching         every objective of score matching beside the exact score            3 min
  python -m experiments.conditioning           given a measurement: draws, particles, and a mean plugged in          1 min
  python -m experiments.forecast               what scoring rules see of a wrong ensemble forecast, on a known law        1 min
  python -m experiments.inflation_inference    a posterior carried through inflationary flows, and its calibration      3 min
  python -m experiments.anisotropic_flow       flow matching on the paths of inflationary flows, with and without OT          14 min
  python -m experiments.benchmark              training and sampling beside torch; --suite all: everything measured    5 min
  python -m experiments.benchmark --render     the tables of docs/speed.md from the stored results               seconds
  python -m experiments.benchmark.overheads    what the progress display and the checkpoints cost, timed in turns          1 min
  python -m experiments.coupling_solvers       exact and Sinkhorn couplings, timed side by side                    7 min
  python -m experiments.stream_timing          training steps on resident and streamed batches, timed in turns        2 min
  python -m experiments.patch_timing           training steps with and without scores of patches, timed in turns       3 min
  python -m experiments.large_run              remat, bfloat16, parts of a batch, streams: what each costs and saves        4 min
  python -m experiments.train_classifier       the small classifier in whose features images are measured          1 min
  python -m experiments.fetch                  download MNIST, Fashion-MNIST or CIFAR-10                         minutes
  python -m experiments.costs                  memory and speed of the cifar10 presets on 1 to 64 chips, predicted     5 min
  python -m experiments.pretrain               a trained model into the package, and docs/pretrained.md              seconds
  python -m experiments.sample                 draw samples from a saved run                                     seconds
  python -m experiments.export                 a trained model as files that need neither the run nor flax       seconds
"""

if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--help"], ["-h"]):
        near = difflib.get_close_matches(sys.argv[1], set(re.findall(r"experiments\.(\w+)", EXPERIMENTS)), 1, 0.0)
        print(f"error: this lists the experiments; did you mean python -m experiments.{near[0]}?", file=sys.stderr)
        raise SystemExit(2)
    with cli.printed():
        print(EXPERIMENTS, end="")
