"""The models that come with the package: a trained run's, exported into it, and docs/pretrained.md, which tells of all."""
