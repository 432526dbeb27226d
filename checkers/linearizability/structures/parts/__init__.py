"""Views, intervals and findings that the fast paths share."""
