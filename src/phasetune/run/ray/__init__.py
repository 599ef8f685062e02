"""The border to Ray: nothing outside this folder imports it."""
