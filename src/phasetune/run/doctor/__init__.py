"""What this machine offers a study, and what is wrong with it: asked part by part, by `doctor`."""
