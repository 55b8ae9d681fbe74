"""AWS Bedrock behind the provider contract."""
