"""What is run: datasets, methods, baselines, transforms, and the tasks that workers carry out."""
