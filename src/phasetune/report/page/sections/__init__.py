"""The parts of a report as plain values, before any format."""
