"""kv-store: a key-value store as an AWS Lambda function."""

__version__ = "0.1.0"
