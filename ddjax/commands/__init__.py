"""What `ddjax` does on the command line of an installed package: sample, export, info."""
