"""What every producer shares: the Source protocol, registry, runner, framer, calendar and DBN reading."""
