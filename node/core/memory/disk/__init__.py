"""Files of agent memory."""
