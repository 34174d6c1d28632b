"""What fuzzers of others find: run by `make fuzz`."""
