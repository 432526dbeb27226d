"""Registers with unique written values, many at a time, as arrays: the legal order is read off the values (`zones`)."""
