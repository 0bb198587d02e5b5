"""Jobs and those who do them: the queue, the crew of worker processes, the worker itself."""
