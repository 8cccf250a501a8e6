"""Oracle's cloud: its models speak OpenAI's dialect, to callers with a key of the service or with a signature of a user's."""
