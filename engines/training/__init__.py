"""Recipes of the networks that this project trains, on faces of its own generator only."""
