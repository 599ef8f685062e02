"""What is asked: the study, read from a file or a function, and checked."""
