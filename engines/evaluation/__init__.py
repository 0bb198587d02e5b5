<<<<<<< HEAD
"""Evaluation: protocols, baselines, statistics and the report of `clip2protect evaluate`."""
=======
"""How well protection works, measured over a set of photos."""
>>>>>>> f15c1878ddb260cde60255ae3259eb6af08cef2f
