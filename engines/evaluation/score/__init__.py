"""What the results say: trials, protocols, statistics, trackers that learn."""
