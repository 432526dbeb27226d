"""Commands about runs and histories."""
