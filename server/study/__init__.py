"""The page on which people choose, and the server behind it; its files are read as data."""
