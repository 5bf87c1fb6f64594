"""The DynamoDB engine: durable, and one store for any number of environments."""
