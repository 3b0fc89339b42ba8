"""The classifier in whose features images are measured."""

from ddjax import cli
from experiments.train_classifier.settings import Config


def run(config: Config) -> None:
    """Load, train, judge, save."""
    from ddjax.runs import classifiers
    from experiments.common.images import feeds

    train, test = feeds.splits(config)
    if len(train.classes) < 2:
        raise cli.UserError(f"--data {config.data} has {len(train.classes)} classes, a classifier needs at least 2")
    print(cli.message(train.describe()), cli.message(test.describe()), sep="\n")
    found = classifiers.trained(train, test, config.out, steps=config.steps, batch=config.batch, seed=config.seed)
    print(f"test accuracy {100 * found.accuracy:.2f} % on {len(test.x)} images, weights in {cli.shown(found.folder)}")  # pyright: ignore[reportAttributeAccessIssue]
