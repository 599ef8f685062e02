"""Who is told: trackers such as MLflow, and the one thread that tells them."""
