"""Records of agent memory: schema, version vectors, conflicts, the TRMM encoding."""
