"""Projects, their environments, and the API keys that open them."""
