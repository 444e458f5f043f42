"""What `tapeline doctor databento` looks at: key, account, live data, clock, money."""
