"""Recipes of the networks that this project trains.  They use only faces of its own generator."""
