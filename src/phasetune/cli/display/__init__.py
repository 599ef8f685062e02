"""What a running study looks like on a terminal, and in lines."""
