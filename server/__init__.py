"""What people and pages talk to: the command line."""
