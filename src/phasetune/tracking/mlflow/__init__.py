"""MLflow as a tracker: its store, its limits, its models."""
