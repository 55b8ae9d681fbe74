"""The vendors' wire formats, spoken locally and, when asked, badly."""
