"""From a dataset and a GAN to a run: options, plan, run, trainer; journal, checkpoints, observers."""
