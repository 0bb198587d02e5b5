"""MobileFaceNet with its norms folded computes the same."""

from __future__ import annotations
