"""The door: commands of a few lines each, rendering, exit codes."""
