"""Running a plan: generators, workers and the nemesis, in real or virtual time."""
