"""Makeup in words and on faces: presets, prompts, palette, regions, text-image models."""
