"""Lines of JSON that a program writes again and again, kept as columns of numbers instead of objects."""
