"""Who there is: accounts and their people, the keys that we issue, the provider keys that they own."""
