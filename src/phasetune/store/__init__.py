"""What remains: artifacts by key, records, paths, provenance, and the one durable write."""
