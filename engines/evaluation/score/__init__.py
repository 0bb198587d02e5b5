"""The score: trials of recognisers, their statistics, trackers that learn."""
