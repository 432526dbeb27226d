"""The syntax of faults in a campaign."""
