"""The registry of networks, and their way from their carriers into the cache."""
