"""What somebody would use instead, on the same data. Reported, never gated."""
