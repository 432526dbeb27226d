"""Which faults happen when: schedules and random mixes."""
