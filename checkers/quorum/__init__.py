"""Operations that succeeded without a quorum."""
