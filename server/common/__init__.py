"""What the command line and the local server share: private files, the enrolled owner, the comparison picture."""
