"""Scores: what is measured, on what, and how to print it again."""
