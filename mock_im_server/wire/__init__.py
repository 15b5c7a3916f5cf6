"""What goes over the wire: frames, envelopes, UserSigs and the vendor's codes. Pure."""
