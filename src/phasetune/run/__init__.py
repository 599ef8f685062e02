"""How it runs: the driver and two backends that execute the same runs."""
