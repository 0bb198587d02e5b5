"""The server's own page and the description of its API: read as data, never imported for code."""
