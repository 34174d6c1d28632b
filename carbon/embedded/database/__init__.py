"""Django's database engine for the embedded server; see `base`."""
