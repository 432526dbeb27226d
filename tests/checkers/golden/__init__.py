"""Answers of all checkers on random histories of fixed seeds, stored: a change of any answer is to be seen and meant."""
