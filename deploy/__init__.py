"""What a deployment in containers needs; see docs/deployment.md."""
