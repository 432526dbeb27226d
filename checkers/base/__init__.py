"""What every checker is written against: records, results, budgets, options, traces."""
