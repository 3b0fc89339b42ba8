"""The DiT step: see `suites.images`."""

from functools import partial

from experiments.benchmark.suites import images

NEEDS = ("torch",)
run = partial(images.run, "dit")
