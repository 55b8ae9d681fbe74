"""What attempts add up to: rollups by minute, hour and day, and answers about them."""
