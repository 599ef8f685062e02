"""What we learned: canonical report, words, tables, frames. Reads what the driver left."""
