"""Sounds and photos to train and score on, read from a data folder."""
