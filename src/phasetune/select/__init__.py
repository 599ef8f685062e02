"""Which one wins: constraints, scores, decision, carry. Pure functions over values."""
