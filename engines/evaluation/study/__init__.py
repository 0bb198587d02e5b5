"""The study with people: its questions and its answers."""
