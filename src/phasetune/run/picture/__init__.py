"""Where a study stands, folded from its events: the same for a display and for `status`."""
