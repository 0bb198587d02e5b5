"""The registry of networks, and how they get from their carriers into the cache."""
