"""How well protection works, measured over a set of photos."""
