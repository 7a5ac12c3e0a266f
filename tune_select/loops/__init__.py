"""Subsets for training loops of the user's own: a sampler, in PyTorch alone."""
