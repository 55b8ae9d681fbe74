"""What the gateway answers, one module for each thing."""
