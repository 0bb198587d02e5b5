"""The local server: who may ask, what is asked, and who does the work."""
