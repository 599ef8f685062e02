"""What a study left and leaves, as records for trackers."""
