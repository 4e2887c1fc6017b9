"""The provider's side of a call: the HTTP client, one attempt, fallback between lanes, cool-downs and measured speed."""
