"""Load tests: what is measured, not what is right."""
