"""The server held to its own OpenAPI document."""
