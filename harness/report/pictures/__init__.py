"""Drawings of a witness, laid out here and drawn by the page's template: a cycle of transactions, messages in space and time."""
