"""The command line: one module a command, which parses, calls the engines and formats.

Nothing heavy (torch, numpy) is imported before a command runs, so that help comes at once.
"""
