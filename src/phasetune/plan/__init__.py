"""What will run: values only, computed from the study alone; nothing here executes or waits."""
