"""What `tapeline doctor barchart` looks at: settings, Chromium, the calls left, the site, one chain, Kafka."""
