"""What the tests over the whole suite share."""
