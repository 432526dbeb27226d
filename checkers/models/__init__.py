"""Sequential specifications: the models that histories are linearizable to."""
