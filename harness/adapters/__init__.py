"""Help with adapters: a skeleton to begin with, and a trial that says what is wrong with one."""
