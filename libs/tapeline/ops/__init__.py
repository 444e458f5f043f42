"""What every service needs to be run: settings and profiles, logs, metrics, the health endpoint, shipped files."""
