"""What is known of models: data files by vendor, and how they are read."""
