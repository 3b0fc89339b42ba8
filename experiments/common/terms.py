"""The words of a report, each explained once; a page shows those that it uses."""

TERMS = {
    "step": "One call of the denoiser on the way from noise to a sample. Fewer steps are faster.",
    "floor": "What the metric gives between two fresh samples of the truth (of images: the training images in the place of "
    "samples). No model can be expected below it; ± is its standard deviation over draws.",
    "at the floor": "No worse than the floor by more than two of its standard deviations, beyond which the truth itself lies in "
    "about 1 of 20 draws. The number itself stands below the words.",
    "x closer": "Ratio of two distances from the floor; at least so many times where the nearer one is at the floor.",
    "regression": "A classical diffusion model: it learns the mean of x_0 given x_t, and is bound to blur in few steps.",
    "ddm": "Distributional diffusion: the network draws x_0 given x_t, and is trained by a scoring rule on its draws.",
    "beta": "Exponent of the energy score: 1 the usual rule, 2 with lam 0 the squared error.",
    "oracle": "Computed from the known law, without training: the exact posterior is the best possible model, the exact mean the "
    "best possible regression.",
    "churn": "Fresh noise in each step of the sampler: 0 none (DDIM), 1 all of it (DDPM). One step has none.",
    "mmd": "Maximum mean discrepancy: squared distance of mean embeddings by a kernel. As a U-statistic it is unbiased and may be "
    "negative; 0 is best.",
    "w₁": "Wasserstein distance: the mean distance that points must travel to turn one sample into the other. Above 0 between "
    "finite samples, even of the same law: hence the floor.",
    "w₂": "Wasserstein distance of squared lengths: the root of the mean square that points must travel. Above 0 between finite "
    "samples of the same law: hence the floor.",
    "sliced": "Mean over directions of the distance between the samples' shadows along each.",
    "fréchet": "Distance between Gaussians fitted to features of two samples. It needs many more samples than features, and is "
    "compared only at equal sample sizes.",
    "kernel distance": "Squared MMD of features with a cubic kernel; unbiased, so that it may be negative.",
    "precision": "Share of samples that lie among real points (within the k-th neighbour's distance of one).",
    "recall": "Share of real points that lie among samples. Falls where samples lack variety.",
    "density": "As precision, counting how many real neighbourhoods hold a sample: robust against outliers; 1 for the truth.",
    "coverage": "Share of real points with a sample in their neighbourhood; of intervals: the share of truths inside them, which "
    "should equal their probability.",
    "memorisation": "Distance of samples to the nearest training image over that of held-out images: 1 is fresh, near 0 copies.",
    "sinkhorn": "Optimal transport with entropy, which makes it differentiable and quick; the blur is the scale below which it "
    "does not look.",
    "energy score": "Mean distance of draws to the truth less half of their mean distance from each other: least for the true law.",
    "gap": "Share of the way from the exact mean (0 %) to the floor (100 %) that a model goes.",
    "participation ratio": "Number of dimensions in which a law has variance: d where all are equal, 1 where one has it all.",
}


def used(page: str) -> dict[str, str]:
    """The terms whose words occur in a page's text."""
    text = page.lower()
    return {term: told for term, told in TERMS.items() if term in text}
