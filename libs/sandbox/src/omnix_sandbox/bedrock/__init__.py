"""AWS Bedrock's wire format: Converse, ConverseStream, InvokeModel for embeddings, and the lists of models."""
