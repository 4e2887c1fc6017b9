"""What changes the price of an answer besides its tokens: the service tier, and searches that the provider makes."""

from typing import Final

from serve.dialects.inquiry import Body

ASSUMED_SEARCHES: Final = 5
"""Searches of the web to reserve for, if a request allows them and sets no limit."""
_TIER_FIELDS: Final = ("speed", "service_tier")
"""Anthropic's fast mode is `speed`; elsewhere, and for other tiers of Anthropic, it is `service_tier`."""
_LONGEST_NAME: Final = 32


def tier_name(*values: object) -> str | None:
    """Return the service tier that these fields of an answer name; the first that is a name counts. None: no name."""
    for value in values:
        if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.lower() != "standard":
            return value.lower()
    return None


def requested_tier(body: Body) -> str | None:
    """Return the service tier that a request asks for. None: the standard one, or the provider's choice."""
    return tier_name(*(body.get(name) for name in _TIER_FIELDS))


def reported_searches(server_tools: object, *others: object) -> int:
    """Return the searches of the web that an answer reports, in `server_tool_use` or as a bare number."""
    requests = server_tools.get("web_search_requests") if isinstance(server_tools, dict) else None
    return next((number for number in (requests, *others) if type(number) is int and number > 0), 0)


def allowed_searches(body: Body) -> int:
    """Return how many searches of the web a request allows, for the amount that a budget holds."""
    tools = body.get("tools")
    searches = 1 if body.get("web_search_options") is not None else 0
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and str(tool.get("type", "")).startswith("web_search"):
            limit = tool.get("max_uses")
            searches += limit if type(limit) is int and limit > 0 else ASSUMED_SEARCHES
    return searches
