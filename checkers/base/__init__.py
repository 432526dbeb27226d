"""Foundation of every checker: records, results, budgets, options, traces."""
