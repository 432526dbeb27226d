"""Similar JSON lines that a program writes repeatedly, stored as columns of numbers instead of objects."""
