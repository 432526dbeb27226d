"""Fast paths for queues, stacks and priority queues."""
