"""Taking events from a durable of JetStream: each is processed, among the dead letters, or back in its stream."""
