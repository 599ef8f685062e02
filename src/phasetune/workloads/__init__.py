"""What is trained: one folder per workload; they do not know each other, Ray or MLflow."""
