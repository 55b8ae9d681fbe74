"""An OmniX plugin that keeps personal data from vendors."""
