"""The console's pages of configs: each reads a request, calls an action or a query, and answers with a template."""
