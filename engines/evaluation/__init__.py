"""Measuring how well protection works: on datasets, against recognisers that took no part in it, beside other ways."""
