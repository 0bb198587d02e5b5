"""Evaluation: protocols, baselines, statistics and the report of `clip2protect evaluate`."""
