"""The wire to providers: the HTTP client, its port, signing, and the terms of a provider."""
