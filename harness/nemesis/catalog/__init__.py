"""Definition of a kind of fault, and the table of kinds: below everything that uses them."""
