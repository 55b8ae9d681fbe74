"""What every OmniX process needs: settings, runtime, rpc, messaging, telemetry, errors."""
