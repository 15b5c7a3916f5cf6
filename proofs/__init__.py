"""Proofs: long runs that show that caps are exact and that the audit can fail. `make prove`."""
