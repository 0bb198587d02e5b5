"""Shared by command line, service and study: private files, the owner, errors, problems, logs."""
